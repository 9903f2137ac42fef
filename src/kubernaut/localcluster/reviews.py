"""The kinds that are questions: may I, may they, who am I, whose token is this; and the request for a token."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from kubernaut.localcluster import errors
from kubernaut.localcluster.authn import Authenticator
from kubernaut.localcluster.calls import Call, User
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.metadata import rfc3339
from kubernaut.localcluster.rbac import Attributes, Authorizer
from kubernaut.localcluster.tokens import ISSUER

_AUTHZ, _AUTHN = "authorization.k8s.io", "authentication.k8s.io"
_TOKEN_SECONDS, _SHORTEST, _LONGEST = 3600, 600, 1 << 32


class Reviews:
    """Answers review kinds."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        """Ask these two."""
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._by_kind: Mapping[str, Callable[[Obj, Call, str], Obj]] = {
            "SelfSubjectAccessReview": self._self_access,
            "SubjectAccessReview": self._access,
            "LocalSubjectAccessReview": self._access,
            "SelfSubjectRulesReview": self._rules,
            "SelfSubjectReview": self._self,
            "TokenReview": self._token,
        }

    def answer(self, obj: Obj, call: Call, namespace: str) -> Obj:
        """Return a review with its status; raise ApiError 400 or 422."""
        return self._by_kind[obj["kind"]](obj, call, namespace)

    def _self_access(self, obj: Obj, call: Call, _namespace: str) -> Obj:
        return self._decided(obj, call.user)

    def _access(self, obj: Obj, _call: Call, _namespace: str) -> Obj:
        spec = obj.get("spec") or {}
        if not spec.get("user") and not spec.get("groups"):
            text = "Required value: at least one of user or group must be specified"
            raise errors.invalid_named("", _AUTHZ, "", [FieldFault("spec.user", "FieldValueRequired", text)])
        user = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), spec.get("extra") or {})
        return self._decided(obj, user)

    def _decided(self, obj: Obj, user: User) -> Obj:
        spec = obj.get("spec") or {}
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource and path:
            shown = errors.encode_go({"Path": path.get("path", ""), "Verb": path.get("verb", "")})
            raise _refused(
                "spec.nonResourceAttributes", f"Invalid value: {shown}: cannot be specified in combination with resourceAttributes"
            )
        if not resource and not path:
            text = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise _refused("spec.resourceAttributes", text)
        decision = self._authorizer.decide(_wanted(user, resource, path or {}))
        status: Obj = {"allowed": decision.allowed}
        return {**obj, "spec": spec, "status": status | ({"reason": decision.reason} if decision.reason else {})}

    def _rules(self, obj: Obj, call: Call, _namespace: str) -> Obj:
        namespace = (obj.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        rules = self._authorizer.rules(call.user, namespace)
        resource = [_ordered(rule, ("verbs", "apiGroups", "resources", "resourceNames")) for rule in rules if rule.get("resources")]
        paths = [_ordered(rule, ("verbs", "nonResourceURLs")) for rule in rules if rule.get("nonResourceURLs")]
        status = {"resourceRules": resource, "nonResourceRules": paths, "incomplete": False}
        return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": {}, "spec": {}, "status": status}

    def _self(self, obj: Obj, call: Call, _namespace: str) -> Obj:
        meta = {"creationTimestamp": self._authenticator.registry.sources.now()}
        return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": meta, "status": {"userInfo": user_info(call.user)}}

    def _token(self, obj: Obj, _call: Call, _namespace: str) -> Obj:
        spec = obj.get("spec") or {}
        token = spec.get("token") or ""
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        return {**obj, "status": self._reviewed(token, spec.get("audiences") or [ISSUER])}

    def _reviewed(self, token: str, wanted: list[str]) -> Obj:
        claims = self._authenticator.claims(token)
        if claims and not set(claims["aud"]) & set(wanted):
            told = f"token audiences {_go_list(claims['aud'])} is invalid for the target audiences {_go_list(wanted)}"
            return {"user": {}, "error": f"[invalid bearer token, {told}]"}
        user = self._authenticator.by_token(token)
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        found: Obj = {"authenticated": True, "user": user_info(user)}
        return found | ({"audiences": [name for name in claims["aud"] if name in wanted]} if claims else {})

    def issue(self, account: Obj, obj: Obj) -> Obj:
        """Return a TokenRequest with its token; raise ApiError 422 for a lifetime out of bounds."""
        spec = obj.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or _TOKEN_SECONDS)
        if not _SHORTEST <= seconds <= _LONGEST:
            bound = "less than 10 minutes" if seconds < _SHORTEST else "larger than 2^32 seconds"
            fault = FieldFault(
                "spec.expirationSeconds", "FieldValueInvalid", f"Invalid value: {seconds}: may not specify a duration {bound}"
            )
            raise errors.invalid_named("TokenRequest", _AUTHN, "", [fault])
        sources = self._authenticator.registry.sources
        now, meta = sources.clock(), account["metadata"]
        expires, audiences = now + timedelta(seconds=seconds), spec.get("audiences") or [ISSUER]
        token = self._authenticator.book.issue(account, audiences, expires, now, sources.uid())
        head = {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"], "creationTimestamp": rfc3339(now)}
        managed = {"managedFields": obj["metadata"]["managedFields"]} if "managedFields" in obj["metadata"] else {}
        return {
            "kind": "TokenRequest",
            "apiVersion": f"{_AUTHN}/v1",
            "metadata": head | managed,
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")},
            "status": {"token": token, "expirationTimestamp": rfc3339(expires)},
        }


def _refused(field: str, text: str) -> errors.ApiError:
    return errors.invalid_named("", _AUTHZ, "", [FieldFault(field, "FieldValueInvalid", text)])


def _wanted(user: User, resource: Obj | None, path: Obj) -> Attributes:
    if resource:
        fields = {field: resource.get(field, "") for field in ("verb", "group", "resource", "subresource", "name", "namespace")}
        return Attributes(user, **fields)
    return Attributes(user, path.get("verb", ""), path=path.get("path", ""))


def _ordered(rule: Obj, fields: tuple[str, ...]) -> Obj:
    return {field: rule[field] for field in fields if rule.get(field)}


def _go_list(values: list[str]) -> str:
    return "[" + " ".join(errors.encode_go(value) for value in values) + "]"


def user_info(user: User) -> Obj:
    """Return a user as review kinds and admission show one."""
    found: Obj = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    return found | ({"extra": {key: list(values) for key, values in user.extra.items()}} if user.extra else {})
