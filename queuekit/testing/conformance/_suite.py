"""All cases together."""

import pytest

from queuekit.testing.conformance.ack import AckCases
from queuekit.testing.conformance.calls import CallCases
from queuekit.testing.conformance.cancel import CancelCases
from queuekit.testing.conformance.changes import (
    EnqueueChangeCases,
    MaintainChangeCases,
    QueuesOfMaintainCases,
    SettleChangeCases,
)
from queuekit.testing.conformance.due import DueCases
from queuekit.testing.conformance.enqueue import EnqueueCases
from queuekit.testing.conformance.expire import ExpireCases
from queuekit.testing.conformance.fetch import FetchCases
from queuekit.testing.conformance.gates import GateCases
from queuekit.testing.conformance.inspect import FindCases, GetCases, QueuesCases
from queuekit.testing.conformance.keys import KeyAndRerunCases, KeyUntilCases, RejectCases
from queuekit.testing.conformance.lease import HeartbeatCases, LapseCases, LeasesCases
from queuekit.testing.conformance.lifecycle import LifecycleCases
from queuekit.testing.conformance.lost_replies import LostReplyCases
from queuekit.testing.conformance.neighbours import NeighbourCases
from queuekit.testing.conformance.outage import OutageCases
from queuekit.testing.conformance.replace import ReplaceCases, SuccessorCases
from queuekit.testing.conformance.report import PresenceCases, ReportCases
from queuekit.testing.conformance.results import ResultsCases
from queuekit.testing.conformance.retention import RetentionCases
from queuekit.testing.conformance.retry import DeathCases, ReleaseCases, RetryCases, SnoozeCases
from queuekit.testing.conformance.schedules import ScheduleCases
from queuekit.testing.conformance.side_keys import SideKeyCases
from queuekit.testing.conformance.sides import CopyCases
from queuekit.testing.conformance.steer import (
    CleanCases,
    DeleteCases,
    DrainCases,
    PauseCases,
    PromoteCases,
    RerunCases,
)
from queuekit.testing.conformance.storable import StorableCases
from queuekit.testing.conformance.suspects import SuspectCases
from queuekit.testing.conformance.tombstones import TombstoneCases
from queuekit.testing.conformance.transfer import TransferCases
from queuekit.testing.conformance.wait import WaitCases


@pytest.mark.asyncio
class Conformance(
    EnqueueCases,
    RejectCases,
    KeyUntilCases,
    ReplaceCases,
    SuccessorCases,
    KeyAndRerunCases,
    FetchCases,
    AckCases,
    RetryCases,
    SnoozeCases,
    ReleaseCases,
    DeathCases,
    HeartbeatCases,
    LapseCases,
    LeasesCases,
    SuspectCases,
    OutageCases,
    CancelCases,
    ExpireCases,
    DueCases,
    ResultsCases,
    RetentionCases,
    GetCases,
    FindCases,
    QueuesCases,
    PromoteCases,
    RerunCases,
    DeleteCases,
    DrainCases,
    CleanCases,
    PauseCases,
    WaitCases,
    ReportCases,
    PresenceCases,
    ScheduleCases,
    StorableCases,
    CallCases,
    LostReplyCases,
    LifecycleCases,
    EnqueueChangeCases,
    SettleChangeCases,
    MaintainChangeCases,
    QueuesOfMaintainCases,
    TransferCases,
    NeighbourCases,
):
    """Subclass it, name the subclass ``Test...`` and give it the fixtures `backend`, `other` and `lossy`."""


@pytest.mark.asyncio
class SideConformance(GateCases, CopyCases, SideKeyCases, TombstoneCases):
    """The same for a backend that can take part in a cutover; beside `Conformance`, by the same fixtures."""
