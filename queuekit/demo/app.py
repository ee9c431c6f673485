"""Webhooks of a payment provider: stored first, then validated, deduplicated and processed with retries.

A provider delivers at least once, in any order, and not always what its manual says. So the endpoint only stores what
it got (`receive`), which can't fail, and all the rest is the worker's: ``queuekit worker queuekit.demo.app:qk``.
"""

import asyncio
from datetime import timedelta
from typing import Literal
from uuid import uuid5

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from queuekit import Context, GiveUp, Queuekit, exponential

qk = Queuekit()


class Charge(BaseModel):
    """A payment, as it was when the event was made; amounts in cents."""

    model_config = ConfigDict(strict=True)

    id: str = Field(pattern=r"^ch_[a-z0-9]+$")
    amount: PositiveInt
    amount_refunded: NonNegativeInt
    currency: Literal["eur", "usd"]
    metadata: dict[str, str]


class Data(BaseModel):
    """Stripe wraps the object of an event so."""

    object: Charge


class Event(BaseModel):
    """What the provider tells us."""

    model_config = ConfigDict(strict=True)

    id: str = Field(pattern=r"^evt_[a-z0-9]+$")
    type: Literal["charge.succeeded", "charge.refunded"]
    created: PositiveInt
    data: Data


class Entry(BaseModel):
    """What we own of a charge since an event. The newest entry counts, so the order of arrival does not."""

    charge: str
    since: int
    currency: str
    net: int


@qk.task(queue="webhooks")
async def receive(ctx: Context, body: str) -> Literal["accepted", "duplicate"]:
    """Validate a delivery, and hand each event on once."""
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        raise GiveUp(f"malformed: {error.errors(include_url=False)[0]['msg']}") from error
    # An id derived from this delivery's, so that a second run after a crash does not take itself for a duplicate.
    job_id = uuid5(ctx.job_id, event.id)
    job = await process.with_options(id=job_id, tags=[event.type]).enqueue(event)
    return "accepted" if job.id == job_id else "duplicate"


@qk.task(
    queue="charges",
    key=lambda event: event.id,
    key_until=timedelta(days=3),  # so long does the provider repeat itself
    max_attempts=4,
    backoff=exponential(0.2, cap=60),
    timeout=10,
)
async def process(ctx: Context, event: Event) -> Entry:
    """Book what an event says about its charge."""
    charge = event.data.object
    await confirm(charge, ctx.attempt)
    net = charge.amount - charge.amount_refunded
    return Entry(charge=charge.id, since=event.created, currency=charge.currency, net=net)


async def confirm(charge: Charge, attempt: int) -> None:
    """Stands for a call to the provider: slow, and failing as the charge's metadata says."""
    await asyncio.sleep(0.05)
    match charge.metadata.get("simulate", "").split():
        case ["timeout", times] if attempt <= int(times):
            raise TimeoutError("the provider did not answer")
        case ["closed_account"]:
            raise GiveUp("the account is closed")
