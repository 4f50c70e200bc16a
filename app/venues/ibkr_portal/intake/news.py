"""From what the gateway says of itself (its session, its login, messages, errors) to news for the session. Pure."""

from __future__ import annotations

from typing import Any, Final

from app.domain.account import LineRefused
from app.domain.errors import BadFrameError
from app.venues.ibkr_portal.contracts import con_id_of
from app.venues.ibkr_portal.decoding import Rows, Topic, parse, rows_of
from app.venues.ibkr_portal.intake.taken import Asked, Common, Taken, part
from app.venues.ibkr_portal.messages import AuthStatus, Row, Tickle, Validation
from app.venues.ibkr_portal.protocol import Beat, LoginHolds, LoginSeen, said, session_seen
from app.venues.ibkr_portal.values import millis_ns, whole, words

_LONGEST_LOGIN_MS: Final = 400 * 24 * 3600 * 1000


class NewsIntake:
    """Keeps nothing: what is said is told."""

    def __init__(self, common: Common) -> None:
        self._common = common

    # -- the session ---------------------------------------------------------------------------------------------

    def on_sts(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take the state of the brokerage session."""
        taken.news.append(session_seen(parse(part(topic.frame.args), AuthStatus, "a session state"), streamed=True))

    def on_system(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take a heartbeat, or who has logged in."""
        if topic.frame.hb is not None:
            taken.news.append(Beat(millis_ns(topic.frame.hb)))
        if topic.frame.isPaper is not None:
            taken.news.append(LoginSeen(topic.frame.isPaper))

    def on_status(self, asked: Asked, taken: Taken) -> None:
        """Take the state of the brokerage session that was asked for."""
        taken.news.append(session_seen(parse(asked.body, AuthStatus, "a session state")))

    def on_tickle(self, asked: Asked, taken: Taken) -> None:
        """Take how long the login holds, and the state of the session."""
        told = parse(asked.body, Tickle, "an answer to tickle")
        _login_holds(asked.recv_ns, told.ssoExpires, taken)
        if told.iserver is not None and told.iserver.authStatus is not None:
            taken.news.append(session_seen(told.iserver.authStatus))

    def on_validation(self, asked: Asked, taken: Taken) -> None:
        """Take how long the login holds."""
        _login_holds(asked.recv_ns, parse(asked.body, Validation, "a validation").EXPIRES, taken)

    # -- messages ------------------------------------------------------------------------------------------------

    def on_message(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take notifications and bulletins."""
        content = part(topic.frame.args)
        rows = rows_of(content, Row, "messages") if bytes(content)[:1] == b"[" else Rows([content], Row)
        for told in self._common.counted(rows):
            title, text = words(told.get("title")), words(told.get("text") or told.get("message"))
            if title or text:
                taken.news.append(said(title, text))

    def on_error(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take an error; one about quotes also says of which contract."""
        frame = topic.frame
        told = parse(frame.args, Row, "an error") if bytes(frame.args)[:1] == b"{" else {}
        text = words(told.get("error") or told.get("message") or frame.error or frame.message) or "unnamed error"
        code = whole(told.get("code")) or whole(frame.code) or 1
        about = words(told.get("topic"), 80)
        con_id = con_id_of(about.split("+")[1]) if about.startswith("smd+") else 0
        if con_id:
            limit = "max" in text.lower() or "limit" in text.lower()
            taken.events.append(LineRefused(con_id, code, text, limit))
        taken.news.append(said("", text, code=code, con_id=con_id or None))

    def on_bare(self, recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take frames without a topic: {"message": "waiting for session"}, {"error": "not authenticated"}."""
        if topic.frame.error is not None:
            self.on_error(recv_ns, topic, taken)
        elif topic.frame.message is None:
            raise BadFrameError("expected a frame with a topic, a message or an error")


def _login_holds(recv_ns: int, raw_ms: Any, taken: Taken) -> None:
    left_ms = whole(raw_ms)
    if 0 < left_ms < _LONGEST_LOGIN_MS:
        taken.news.append(LoginHolds(recv_ns + left_ms * 1_000_000))
