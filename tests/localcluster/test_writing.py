import pytest

from tests.localcluster.http import APPLY, CONFIGMAPS, JSON_PATCH, MERGE, STRATEGIC, WIDGETS, configmap, widget

INVALID = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"


async def test_a_created_object_has_defaults_and_what_the_server_sets(widgets):
    made = await widgets.post(WIDGETS, widget())
    meta = made.body["metadata"]
    assert made.status == 201
    assert made.body["spec"] == {"size": "medium", "owner": "ann", "replicas": 1, "engine": "standard", "nested": {"on": True}}
    assert (meta["namespace"], meta["generation"], len(meta["uid"])) == ("example", 1, 36)
    assert meta["managedFields"][0]["manager"] == "tests"


async def test_what_only_the_server_may_set_is_ignored(widgets):
    body = widget() | {"status": {"phase": "Ready"}}
    body["metadata"] |= {"uid": "11111111-1111-1111-1111-111111111111", "generation": 7, "creationTimestamp": "2001-01-01T00:00:00Z"}
    made = (await widgets.post(WIDGETS, body)).body
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["uid"] != body["metadata"]["uid"]
    assert not made["metadata"]["creationTimestamp"].startswith("2001")


async def test_generated_names_have_five_more_letters(widgets):
    body = widget() | {"metadata": {"generateName": "gen-"}}
    names = {(await widgets.post(WIDGETS, body)).body["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("gen-") and len(name) == 9 for name in names)


REFUSALS = [
    pytest.param(widget(size="huge"), 422, "Invalid", 'spec.size: Unsupported value: "huge"', id="enum"),
    pytest.param(widget(size="small", replicas=5), 422, "Invalid", "small widgets have at most 3 replicas", id="rule"),
    pytest.param(widget("Bad_Name"), 422, "Invalid", "a lowercase RFC 1123 subdomain must consist of", id="name"),
    pytest.param(widget() | {"kind": "Gadget"}, 422, "Invalid", 'kind: Invalid value: "Gadget": must be Widget', id="kind"),
    pytest.param(widget() | {"apiVersion": "example.dev/v9"}, 400, "BadRequest", "does not match the expected API version", id="version"),
    pytest.param(b"{not json", 400, "BadRequest", "invalid character 'n' looking for beginning of object key string", id="json"),
    pytest.param(b"", 400, "BadRequest", "unexpected end of JSON input (<empty>)", id="empty"),
    pytest.param(b"[]", 400, "BadRequest", "cannot unmarshal array into Go value", id="array"),
]


@pytest.mark.parametrize(("body", "status", "reason", "words"), REFUSALS)
async def test_a_bad_body_is_refused_in_the_words_of_the_real_server(widgets, body, status, reason, words):
    answer = await widgets.post(WIDGETS, body)
    assert (answer.status, answer.body["reason"], answer.body["kind"]) == (status, reason, "Status")
    assert words in answer.message


async def test_a_taken_name_is_a_conflict(widgets):
    await widgets.post(WIDGETS, widget())
    again = await widgets.post(WIDGETS, widget())
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")
    assert again.message == 'widgets.example.dev "one" already exists'


async def test_a_namespace_that_does_not_exist_is_told(widgets):
    answer = await widgets.post(WIDGETS.replace("namespaces/example", "namespaces/example-none"), widget())
    assert (answer.status, answer.message) == (404, 'namespaces "example-none" not found')


async def test_unknown_fields_are_refused_warned_of_or_dropped(widgets):
    body = widget(bogus=1)
    strict = await widgets.post(WIDGETS, body, fieldValidation="Strict")
    assert (strict.status, strict.message.split(": ", 1)[1]) == (400, 'strict decoding error: unknown field "spec.bogus"')
    warned = await widgets.post(WIDGETS, body)
    assert warned.headers.getall("Warning") == ['299 - "unknown field \\"spec.bogus\\""']
    assert "bogus" not in warned.body["spec"]
    silent = await widgets.post(WIDGETS, widget("two", bogus=1), fieldValidation="Ignore")
    assert "Warning" not in silent.headers


async def test_duplicate_fields_are_told_and_the_last_wins(http):
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"a":"1","a":"2"}}'
    made = await http.post(CONFIGMAPS, body)
    assert made.body["data"] == {"a": "2"}
    assert made.headers["Warning"] == '299 - "duplicate field \\"data.a\\""'


async def test_yaml_bodies_and_answers_are_understood(http):
    made = await http.post(
        CONFIGMAPS, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {on: 'yes', k: x}\n", content_type="application/yaml"
    )
    assert made.body["data"] == {"true": "yes", "k": "x"}
    shown = await http.get(f"{CONFIGMAPS}/y", headers={"Accept": "application/yaml"})
    assert shown.headers["Content-Type"] == "application/yaml"
    assert '"yes"' in shown.body


async def test_bodies_over_three_mebibytes_are_refused(http):
    answer = await http.post(CONFIGMAPS, configmap(k="x" * 3_200_000))
    assert (answer.status, answer.message) == (413, "Request entity too large: limit is 3145728")


@pytest.mark.parametrize("content_type", ["text/plain", MERGE])
async def test_other_media_types_are_refused_with_those_that_are_taken(http, content_type):
    answer = await http.post(CONFIGMAPS, b"{}", content_type=content_type)
    assert answer.status == 415
    assert "application/json, application/yaml, application/vnd.kubernetes.protobuf" in answer.message


async def test_an_unknown_accept_is_refused(widgets):
    assert (await widgets.get(WIDGETS, headers={"Accept": "text/html"})).status == 406


async def test_generation_moves_with_the_spec_alone(widgets):
    await widgets.post(WIDGETS, widget())
    labelled = await widgets.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"a": "b"}}})
    status = await widgets.patch(f"{WIDGETS}/one/status", {"status": {"phase": "Ready"}, "spec": {"replicas": 9}})
    spec = await widgets.patch(f"{WIDGETS}/one", {"spec": {"replicas": 3}, "status": {"phase": "Gone"}})
    assert [answer.body["metadata"]["generation"] for answer in (labelled, status, spec)] == [1, 1, 2]
    assert status.body["spec"]["replicas"] == 1
    assert spec.body["status"] == {"phase": "Ready"}


async def test_a_write_that_changes_nothing_keeps_its_version(widgets):
    made = (await widgets.post(WIDGETS, widget())).body
    again = await widgets.ask("PUT", f"{WIDGETS}/one", made)
    assert again.body == made


async def test_a_stale_replace_is_a_conflict_and_a_custom_resource_must_name_its_version(widgets):
    made = (await widgets.post(WIDGETS, widget())).body
    await widgets.patch(f"{WIDGETS}/one", {"spec": {"replicas": 2}})
    stale = await widgets.ask("PUT", f"{WIDGETS}/one", made)
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version" in stale.message
    unnamed = await widgets.ask("PUT", f"{WIDGETS}/one", widget())
    assert (unnamed.status, "metadata.resourceVersion: Invalid value: 0" in unnamed.message) == (422, True)


async def test_a_configmap_may_be_replaced_without_a_version_but_not_created_so(http):
    await http.post(CONFIGMAPS, configmap(a="1"))
    assert (await http.ask("PUT", f"{CONFIGMAPS}/one", configmap(a="2"))).body["data"] == {"a": "2"}
    assert (await http.ask("PUT", f"{CONFIGMAPS}/two", configmap("two"))).status == 404


async def test_each_kind_of_patch_does_its_own(http):
    await http.post(CONFIGMAPS, configmap(a="1", b="2"))
    merged = await http.patch(f"{CONFIGMAPS}/one", {"data": {"a": None}})
    assert merged.body["data"] == {"b": "2"}
    patched = await http.patch(f"{CONFIGMAPS}/one", [{"op": "add", "path": "/data/c", "value": "3"}], JSON_PATCH)
    assert patched.body["data"] == {"b": "2", "c": "3"}
    strategic = await http.patch(f"{CONFIGMAPS}/one", {"data": {"$patch": "replace", "only": "this"}}, STRATEGIC)
    assert strategic.body["data"] == {"only": "this"}


async def test_a_failed_test_in_a_json_patch_refuses_all_of_it(http):
    await http.post(CONFIGMAPS, configmap(a="1"))
    operations = [{"op": "add", "path": "/data/b", "value": "2"}, {"op": "test", "path": "/data/a", "value": "9"}]
    answer = await http.patch(f"{CONFIGMAPS}/one", operations, JSON_PATCH)
    assert (answer.status, answer.message) == (422, "the server rejected our request due to an error in our request")
    assert (await http.get(f"{CONFIGMAPS}/one")).body["data"] == {"a": "1"}


async def test_a_custom_resource_takes_no_strategic_patch(widgets):
    await widgets.post(WIDGETS, widget())
    assert (await widgets.patch(f"{WIDGETS}/one", {}, STRATEGIC)).status == 415


async def test_apply_creates_merges_and_tells_conflicts(widgets):
    config = widget(replicas=2)
    created = await widgets.patch(f"{WIDGETS}/one", config, APPLY, fieldManager="alpha")
    assert (created.status, created.body["metadata"]["managedFields"][0]["operation"]) == (201, "Apply")
    other = {"apiVersion": "example.dev/v1alpha1", "kind": "Widget", "spec": {"replicas": 3}}
    conflict = await widgets.patch(f"{WIDGETS}/one", other, APPLY, fieldManager="beta")
    assert (conflict.status, conflict.message) == (409, 'Apply failed with 1 conflict: conflict with "alpha": .spec.replicas')
    assert conflict.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    forced = await widgets.patch(f"{WIDGETS}/one", other, APPLY, fieldManager="beta", force="true")
    assert forced.body["spec"]["replicas"] == 3


async def test_apply_needs_a_field_manager(widgets):
    answer = await widgets.patch(f"{WIDGETS}/one", widget(), APPLY)
    assert (answer.status, "fieldManager: Required value" in answer.message) == (422, True)


@pytest.mark.parametrize("body", [widget(), widget(replicas=4)], ids=["nothing asked", "a change asked"])
async def test_a_dry_run_answers_and_stores_nothing(widgets, body):
    dry = await widgets.post(WIDGETS, body, dryRun="All")
    assert (dry.status, "resourceVersion" in dry.body["metadata"]) == (201, False)
    assert (await widgets.get(f"{WIDGETS}/one")).status == 404
    stored = (await widgets.post(WIDGETS, widget())).body
    assert (await widgets.patch(f"{WIDGETS}/one", {"spec": body["spec"]}, dryRun="All")).status == 200
    assert (await widgets.delete(f"{WIDGETS}/one", dryRun="All")).status == 200
    assert (await widgets.get(f"{WIDGETS}/one")).body == stored


async def test_plain_text_of_a_secret_is_encoded_and_not_shown(http):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    made = (await http.post("/api/v1/namespaces/example/secrets", secret)).body
    assert (made["data"], "stringData" in made, made["type"]) == ({"a": "Yg=="}, False, "Opaque")


async def test_a_node_is_born_with_its_status(http):
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "example-n"}, "status": {"capacity": {"cpu": "4"}}}
    assert (await http.post("/api/v1/nodes", node)).body["status"]["capacity"] == {"cpu": "4"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{WIDGETS}/one/status", 405),
        ("PUT", WIDGETS, 400),
        ("OPTIONS", WIDGETS, 405),
        ("PUT", CONFIGMAPS, 405),
        ("DELETE", "/api/v1/namespaces", 405),
        ("GET", "/apis/example.dev/v9/widgets", 404),
        ("POST", "/version", 405),
    ],
)
async def test_methods_and_paths_that_are_not_there_are_told_apart(widgets, method, path, status):
    assert (await widgets.ask(method, path, {} if method in {"POST", "PUT"} else None)).status == status


async def test_an_unknown_path_is_plain_text(http):
    answer = await http.get("/nosuch")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (404, "404 page not found\n", "text/plain; charset=utf-8")
