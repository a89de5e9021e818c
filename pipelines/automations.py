"""What a Prefect server does by itself for the flows: it notices the dead, and tells people of failures and promotions.

Made, or brought up to date, by `make deploy`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.schemas.objects import StateType
from prefect.events import emit_event
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from degrain.artifacts.registration import Registration
from degrain.errors import ParamsError
from pipelines.ends import End

HEARTBEAT = "prefect.flow-run.heartbeat"
PENDING = "prefect.flow-run.Pending"
PROMOTED = "degrain.model.promoted"
DRIFTED = "degrain.dataset.drifted"
# Seconds without a heartbeat after which a run is called crashed; flows send one every 30.
_SILENCE = 75
_ENDS = {f"prefect.flow-run.{state}" for state in End}
_FAILURES = {f"prefect.flow-run.{state}" for state in (End.FAILED, End.MISTAKE, End.CRASHED)}
# What a run that waits for a person has come to; it has no process that could send one.
_WAITS = {"prefect.flow-run.Suspended", "prefect.flow-run.Paused"}
# What a run that a worker has claimed comes to next: its begin, its end, or the queue once more.
_NEXT = _ENDS | {
    f"prefect.flow-run.{state}" for state in ("Running", "Cancelling", "Scheduled", "Late", "AwaitingRetry")
}
# Seconds for which a run may be claimed by a worker and not begin.
_CLAIM = 600
# Flows whose end a person waits for; that of a stage on a worker is its conductor's to tell.
FLOWS = ("reproduce", "refresh", "promote")


def make(notify: str) -> None:
    """Make the automations of the server that PREFECT_API_URL names.

    Args:
        notify: Slug and name of a notification block, such as "slack-webhook/team", or nothing.

    Raises:
        ParamsError: There is no such block.
    """
    _make(_heartbeats())
    _make(_claimed())
    for automation in _notifications(_block(notify)) if notify else ():
        _make(automation)


def promoted(made: Registration) -> None:
    """Tell the server that a model has become the champion, for whoever waits for that."""
    emit_event(
        event=PROMOTED,
        resource={"prefect.resource.id": f"degrain.model.{made.model}", "prefect.resource.name": made.model},
        payload={"version": made.version, "trial": made.trial},
    )


def _make(wanted: Automation) -> None:
    """Make one, or bring it up to date; there is never a second one of its name."""
    try:
        present: Any = Automation.read(name=wanted.name)
    except ValueError:
        wanted.create()
        return
    if AutomationCore.model_validate(present.model_dump()) != AutomationCore.model_validate(wanted.model_dump()):
        wanted.id = present.id
        wanted.update()


def _heartbeats(seconds: int = _SILENCE) -> Automation:
    return _crashed(
        "degrain: a run whose heartbeats stop has crashed",
        "A worker that is killed tells nobody; made by pipelines.servers deploy",
        {HEARTBEAT},
        {HEARTBEAT, *_ENDS, *_WAITS},
        seconds,
        f"no heartbeat for {seconds} s: its worker died, or was cut off",
    )


def _claimed(seconds: int = _CLAIM) -> Automation:
    return _crashed(
        "degrain: a run that was claimed and does not begin has crashed",
        "A worker that dies between the two tells nobody; made by pipelines.servers deploy",
        {PENDING},
        _NEXT,
        seconds,
        f"a worker claimed it and did not begin it within {seconds} s",
    )


def _crashed(name: str, description: str, after: set[str], expect: set[str], seconds: int, message: str) -> Automation:
    """Call a run crashed of which, after an event, none of those that are expected comes within some seconds."""
    return Automation(
        name=name,
        description=description,
        trigger=EventTrigger(
            after=after,
            expect=expect,
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def _block(slug: str) -> UUID:
    try:
        block = Block.load(slug)
    except ValueError as error:
        raise ParamsError(f"DEGRAIN_NOTIFY: {' '.join(str(error).split())}") from None
    identifier = getattr(block, "_block_document_id", None)
    if not isinstance(block, NotificationBlock) or identifier is None:
        raise ParamsError(f"DEGRAIN_NOTIFY: {slug} is no block that notifies")
    return UUID(str(identifier))


def _notifications(block: UUID) -> list[Automation]:
    told = {
        "degrain: tell of failures": (
            EventTrigger(
                expect=_FAILURES,
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                match_related=ResourceSpecification(
                    {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}
                ),
                posture=Posture.Reactive,
                threshold=1,
            ),
            "degrain: {{ flow.name }} {{ flow_run.name }}: {{ flow_run.state.name }}",
            "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
        ),
        "degrain: tell of promotions": (
            EventTrigger(expect={PROMOTED}, posture=Posture.Reactive, threshold=1),
            "degrain: {{ event.resource.name }} has a new champion",
            "version {{ event.payload.version }}, {{ event.payload.trial }}",
        ),
        "degrain: tell of drift": (
            EventTrigger(expect={DRIFTED}, posture=Posture.Reactive, threshold=1),
            "degrain: {{ event.resource.name }} has changed upstream",
            "{{ event.payload.told }}",
        ),
    }
    return [
        Automation(
            name=name,
            description="Made by pipelines.servers deploy",
            trigger=trigger,
            actions=[SendNotification(block_document_id=block, subject=subject, body=body)],
        )
        for name, (trigger, subject, body) in told.items()
    ]
