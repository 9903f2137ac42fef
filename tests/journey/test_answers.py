"""A case that two people approve from where they are: one by the link in a mail, one by a button in Slack, each with their own rights alone."""

import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import SecretStr

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj
from kubernaut.api.kinds import ALL
from kubernaut.api.remediation import Outcome
from kubernaut.cli.alerts import AlertSource
from kubernaut.cli.embedded import Ports, embedded
from kubernaut.cli.places import Place
from kubernaut.cli.watching import viewing
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.manifests import APPROVER, SYSTEM_NAMESPACE
from kubernaut.notification.settings import NotificationSettings
from kubernaut.policy.settings import PolicySource
from kubernaut.rights import account_of, rights
from kubernaut.wiring import PARTS, system
from tests.journey.stage import DEPLOYMENT, NAMESPACE, PATIENCE, Stage, as_part, settings_for, told
from tests.notification.answering.counter import ADA, FORM, KIM, ONCALL, SIGNING, press, signed
from tests.notification.mailbox import Mailbox
from tests.notification.receivers import PLANTED, SlackApi
from tests.world import eventually

RBAC = "rbac.authorization.k8s.io"
PEOPLE = ({"user": ADA, "email": ADA, "groups": [ONCALL]}, {"user": KIM, "slack": "U0KIM", "groups": [ONCALL]})
POLICY = f"""
rules:
- name: two-people
  match: environment == 'production'
  set: {{decision: ManualReviewRequired, approvers: 2, groups: [{ONCALL}], why: two people look at production}}
"""
ROUTING = f"""
route: {{receiver: nobody, routes: [{{match: {{type: Approval}}, receiver: approvers}}]}}
receivers:
- {{name: nobody, recipients: [{{channel: console}}]}}
- {{name: approvers, recipients: [{{channel: email, address: {ADA}}}, {{channel: slack, address: "#approvals"}}]}}
"""
LINK = re.compile(r"Approve or reject: (\S+)")


def roles():
    """Return what an administrator adds: who approves, and in whose name notification may answer questions."""
    account = {"kind": "ServiceAccount", "name": account_of("notification"), "namespace": SYSTEM_NAMESPACE}
    verbs: Obj = {"apiGroups": ["authentication.k8s.io"], "verbs": ["impersonate:user-info"]}
    rules = [verbs | {"resources": ["users"], "resourceNames": [ADA, KIM]}, verbs | {"resources": ["groups"], "resourceNames": [ONCALL]}]
    group = {"kind": "Group", "name": ONCALL, "apiGroup": RBAC}
    return [
        (core.CLUSTER_ROLE, {"metadata": {"name": "answers"}, "rules": rules}),
        (core.CLUSTER_ROLE_BINDING, bound("answers", "answers", account)),
        (core.CLUSTER_ROLE_BINDING, bound("approvers", APPROVER, group)),
    ]


def bound(name, role, subject):
    return {"metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": role, "apiGroup": RBAC}, "subjects": [subject]}


@dataclass
class Office(Stage):
    """A running system whose people are reached by mail and in Slack."""

    mailbox: Any = None
    slack: Any = None
    answers: str = ""

    async def link(self):
        """Wait for the mail; return the link in it."""

        async def mailed():
            return self.mailbox.texts()

        [text] = await eventually(mailed, seconds=PATIENCE)
        [link] = LINK.findall(text)
        return link

    async def button(self):
        """Wait for the message in Slack; return its first button."""

        async def posted():
            return [each for each in self.slack.told if "Approval Required" in each["text"]]

        message = (await eventually(posted, seconds=PATIENCE))[0]
        return next(block for block in message["blocks"] if block["type"] == "actions")["elements"][0]

    async def fetch(self, method, link, **sent):
        async with self.http.request(method, link, **sent) as reply:
            return reply.status, await reply.text()

    def asked(self):
        return self.only(AIApprovalRequest)

    async def said(self, count):
        """Wait until so many people have answered."""
        return await self.until(AIApprovalRequest, lambda each: len(each.status.approvals) >= count)


def notifying(path, port, certificate, slack_url, answers_key):
    (path / "routing.yaml").write_text(ROUTING)
    mail = {
        "host": "127.0.0.1",
        "port": port,
        "username": "kubernaut",
        "password": PLANTED,
        "ca_file": certificate,
        "to": "ops@example.com",
    }
    slack = {"token": SecretStr(PLANTED), "signing_secret": SecretStr(SIGNING), "api_url": slack_url}
    answers = {"port": 0, "key_file": answers_key, "people": PEOPLE}
    routing = PolicySource(file=path / "routing.yaml")
    return NotificationSettings.model_validate({"port": 0, "routing": routing, "email": mail, "slack": slack, "answers": answers})


@asynccontextmanager
async def office(path):
    """Run the story's system; notification runs under its own account, with its own rights and the role that an administrator adds."""
    place, mailbox, slack = Place(path / "state"), Mailbox(path), SlackApi()
    (path / "policy.yaml").write_text(POLICY)
    async with AsyncExitStack() as stack:
        stack.enter_context(place.held())
        port = await stack.enter_async_context(mailbox.serving())
        api = await stack.enter_async_context(slack.serving("/api/"))
        settings = settings_for(place, analysis={"policy": PolicySource(file=path / "policy.yaml")})
        settings = settings.model_copy(update={"notification": notifying(path, port, mailbox.certificate, api, place.answers_key)})
        rest = [part for part in PARTS if part != "notification"]
        whole = await stack.enter_async_context(embedded(place, Ports(), story=told(), settings=settings, parts=rest))
        for kind, obj in roles():
            await whole.client.create(kind, obj)
        client = await as_part(stack, whole, "notification")
        services = settings.services.model_copy(update={"datastorage": whole.endpoints.urls["datastorage"]})
        alone = settings.model_copy(update={"services": services})
        running = await stack.enter_async_context(system(alone, client, parts=("notification",)))
        person = Client.from_kubeconfig(str(place.kubeconfig))
        stack.push_async_callback(person.close)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        view = await stack.enter_async_context(viewing(whole.client, ALL, SYSTEM_NAMESPACE, lambda *_: None))
        alarm = AlertSource(whole.client, SystemClock(), whole.endpoints.urls["gateway"], NAMESPACE, DEPLOYMENT, None)
        yield Office(whole, http, view, alarm, person, mailbox, slack, running.endpoints.urls["answers"])


async def test_two_people_approve_from_where_they_are_and_links_work_once(tmp_path):
    async with office(tmp_path) as stage, stage.alerting():
        link = await stage.link()
        looks = [await stage.fetch(method, link) for method in ("HEAD", "GET", "GET", "HEAD")]
        assert [status for status, _ in looks] == [200] * 4
        assert stage.asked().status.approvals == [], "looking is not answering"
        [form] = FORM.findall(looks[1][1])
        answer = {"form": form, "decision": "Approved", "reason": "seen the graph"}
        status, page = await stage.fetch("POST", link, data=answer)
        assert (status, "1 more person must approve it" in page) == (200, True)
        again = [await stage.fetch("POST", link, data=answer | {"decision": "Rejected"}), await stage.fetch("GET", link)]
        assert [status for status, _ in again] == [410, 410]
        button = await stage.button()
        body, headers = signed(press(button["action_id"], button["value"], "U0KIM"))
        assert (await stage.fetch("POST", f"{stage.answers}/api/v1/answers/slack", data=body, headers=headers))[0] == 200
        await stage.said(2)
        request = await stage.ended()
        assert request.status.outcome is Outcome.REMEDIATED
        said = [(each.approver, each.via, each.groups, each.message) for each in stage.asked().status.approvals]
        assert said == [(ADA, "email-link", [ONCALL], "seen the graph"), (KIM, "slack-button", [ONCALL], "")]
        assert (stage.asked().status.decided_by, stage.asked().status.decided_via) == (KIM, "slack-button")
        await told_who_decided(stage)
        refused = [str(fact) for fact in await stage.facts(request.metadata.name) if "AnswerRefused" in str(fact)]
        assert ["have said approved already" in each for each in refused] == [True]


async def told_who_decided(stage):
    """Wait until the message in Slack says who decided, and has no button any more."""

    async def struck():
        return [each for each in stage.slack.told if each["method"] == "chat.update" and KIM in str(each["blocks"])]

    assert "actions" not in str((await eventually(struck, seconds=PATIENCE))[0]["blocks"])


def test_notification_itself_may_act_as_nobody():
    """What lets it act as a person names the person, and is an administrator's to give."""
    verbs = {verb for rule in rights("notification") for verb in rule["verbs"] if "impersonate" in verb}
    assert verbs == {f"impersonate-on:user-info:{verb}" for verb in ("get", "patch", "create")}
