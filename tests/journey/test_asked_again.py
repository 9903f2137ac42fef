"""A target that changes while people think: the question is void, they hear of the new one, and only its answer counts."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.approval import Phase as QuestionPhase
from kubernaut.api.remediation import Outcome
from kubernaut.cli.approving import answer
from kubernaut.kube.errors import ApiError
from tests.journey.stage import alone, playing, settings_for, told

QUICK = {"settling_limit": timedelta(seconds=0.2)}


async def test_people_are_asked_again_when_the_target_changed_and_told_so(tmp_path):
    async with playing(tmp_path, played=alone(told()), settings=partial(settings_for, analysis=QUICK)) as stage:
        await stage.alert()
        first = await stage.question()
        target = first.spec.objects_touched[0]
        touched = {"spec": {"revisionHistoryLimit": 3}}  # no roll-out: fresh pods would be healthy for a moment, and nobody asked
        await stage.person.patch(core.DEPLOYMENT, target.name, target.namespace, touched)
        second = await stage.until(AIApprovalRequest, lambda each: each.metadata.name == f"{first.metadata.name}-r2")
        assert second.spec.bound_to != first.spec.bound_to
        void = await stage.until(AIApprovalRequest, lambda each: each.status.phase is QuestionPhase.VOID)
        assert void.metadata.name == first.metadata.name
        late = {"status": {"decision": "Approved", "decidedBy": "oncall@example.com"}}
        with pytest.raises(ApiError, match="this question is void"):
            await stage.person.patch(AIApprovalRequest.card, first.metadata.name, first.metadata.namespace, late, subresource="status")
        name = first.spec.remediation_request_ref.name
        messages = [await stage.message(f"{name}-approval-notification{suffix}") for suffix in ("", "-r2")]
        assert [each.spec.metadata["aiApprovalRequest"] for each in messages] == [first.metadata.name, second.metadata.name]
        async with stage.alerting():
            await answer(stage.person, second, Decision.APPROVED, "", datetime.now(UTC))
            request = await stage.ended()
        assert request.status.outcome is Outcome.REMEDIATED
        reasons = [each["event_action"] for each in await stage.facts(name)]
        assert (reasons.count("ApprovalVoid"), reasons.count("ApprovalDecided")) == (1, 1)
