"""Texts come back byte for byte."""

import json

import pytest

from queuekit.backend import Ask, Backend, Refusal, Report
from queuekit.job import Ack, Return, State
from queuekit.testing.conformance._make import (
    DONE,
    LONG,
    ack,
    answers_of,
    cancelled,
    claim,
    claim_one,
    claimant,
    dead,
    failed,
    find_all,
    give_back,
    job,
    numbered,
    put,
    record,
    retried,
    running,
    succeeded,
)

TEXTS = {
    "spaces": '{ "v" : 1 ,\n\t"a" : { } }',
    "order and doubles": '{"b":1,"a":2,"b":3}',
    "numbers": "[0.1,1e400,-0.0,1.0,10000000000000000000000000000001,1E+2]",
    "constants": '["NaN","Infinity","-Infinity",null]',
    "escapes": '"\\u0000\\u00e9\\ud83d\\ude00\\ud800\\/\\n"',
    "languages": '"żółć 日本語 العربية 🎉 \u2028\u2029\ufeff\ufffe\uffff"',
    "quotes": """"'; DROP TABLE jobs; -- $1 {} %s %% ]] \\\\ ` ~ ?1 :x @x #{x}\"""",
    "controls": '"\\u0001 \x7f \x80 \x85 \xa0"',
    "empty": '""',
    "long": f'"{"0123456789abcdef" * 40_000}"',
    "many characters": json.dumps("".join(map(chr, range(1, 0xD7FF))), ensure_ascii=False),
}
each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
ODD_TEXTS = {
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "all kinds of lines": "\n\r\x1e\x85\u2028",
    "five megabytes": "0123456789" * 500_000,
}
"""What a store may refuse to keep, of one element alone."""
each_odd_text = pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())


class StorableCases:
    """Whatever the codec writes is kept as it is; no backend looks into it."""

    @each_text
    async def test_a_payload_comes_back_byte_for_byte(self, backend: Backend, text: str) -> None:
        one = await running(backend, text)
        assert one.payload == text
        assert (await record(backend, one.token.id)).job.payload == text
        await ack(backend, succeeded(one))
        assert (await record(backend, one.token.id)).job.payload == text

    @each_text
    async def test_a_result_comes_back_byte_for_byte(self, backend: Backend, text: str) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one, text))
        assert (await record(backend, one.token.id)).notes.result == text
        found = await backend.results([one.token.ref], 0)
        assert found[one.token.ref].notes.result == text

    @each_text
    async def test_an_error_comes_back_whole(self, backend: Backend, text: str) -> None:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend), message=text))
        one = await claim_one(backend)
        await ack(backend, failed(one, message=text))
        found = await record(backend, one.token.id)
        assert [json.loads(error)["message"] for error in found.notes.errors] == [text, text]

    @each_text
    async def test_reports_come_back_byte_for_byte(self, backend: Backend, text: str) -> None:
        one = await running(backend)
        await backend.report([Report(one.token, text, [text, ""])])
        found = await record(backend, one.token.id)
        assert (found.notes.progress, list(found.notes.logs)) == (text, [text, ""])

    async def test_a_reason_is_any_text(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, cancelled(one, "żółć '; -- \n 🎉"))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.reason) == (State.CANCELLED, "żółć '; -- \n 🎉")

    @each_odd_text
    async def test_an_odd_reason_or_error_fails_no_other(self, backend: Backend, text: str) -> None:
        await put(backend, *numbered(7))
        first, reason, error, result, retry, death, last = await claim(backend, 7)
        odd: list[Ack | Return] = [
            cancelled(reason, text),
            failed(error)._replace(error=self._raw(text)),
            succeeded(result, json.dumps(text, ensure_ascii=False)),
            retried(retry)._replace(error=self._raw(text)),
            dead(death)._replace(error=self._raw(text)),
        ]
        settle = [succeeded(first), *odd, succeeded(last)]
        fetched = await backend.fetch(Ask(["other"], 1, claimant(), LONG), settle=settle)
        assert answers_of(fetched.settled)[0] == answers_of(fetched.settled)[-1] == DONE
        assert set(answers_of(fetched.settled)) <= {DONE, Refusal.UNSTORABLE}
        found = await find_all(backend)
        assert len(found) == 7
        assert State.RUNNING not in {one.state for one in found}
        assert all(json.loads(told)["at"] for one in found for told in one.notes.errors)

    def _raw(self, message: str) -> str:
        """An error whose text is escaped no more than JSON demands."""
        error = {"attempt": 1, "type": "Oops", "message": message, "traceback": ""}
        return json.dumps(error, ensure_ascii=False)

    @each_odd_text
    async def test_an_odd_report_loses_no_other(self, backend: Backend, text: str) -> None:
        await put(backend, *numbered(3))
        first, odd, last = await claim(backend, 3)
        reports = [
            Report(first.token, "1", ["a"]),
            Report(odd.token, json.dumps(text, ensure_ascii=False), [text]),
            Report(last.token, "3", ["c"]),
        ]
        await backend.report(reports)
        for one, progress, line in ((first, "1", "a"), (last, "3", "c")):
            found = await record(backend, one.token.id)
            assert (found.notes.progress, list(found.notes.logs)) == (progress, [line])
        await find_all(backend)

    async def test_tags_and_extra_are_any_text(self, backend: Backend) -> None:
        tags, extra = ("a b", "ü,{}'\"", "x:y"), '{"meta":{"ü":[1,null]}}'
        one = await running(backend, tags=tags, extra=extra)
        assert one.extra == extra
        found = await record(backend, one.token.id)
        assert (sorted(found.job.options.tags), found.job.options.extra) == (sorted(tags), extra)

    async def test_names_are_as_long_as_they_may_be(self, backend: Backend) -> None:
        name = "A-Z_a.z:0/9" * 11 + "abcdefg"
        one = await running(backend, queue=name, task=name)
        assert (one.token.queue, one.task, len(name)) == (name, name, 128)
        await ack(backend, succeeded(one))
        assert (await record(backend, one.token.id)).job.options.queue == name
