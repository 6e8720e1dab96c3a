"""``callboard keys …``: API keys, made and revoked in the database itself, as the API requires a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callboard.cli.database import audit, database_settings, plain, transaction
from callboard.cli.display.terminal import narration, output, print_json
from callboard.cli.options import AsJson
from callboard.db.rules.key_text import PREFIX, KeyText
from callboard.db.rules.roles import Role

if TYPE_CHECKING:  # other commands start quickly, so functions import what uses a database
    from callboard.db.access.keys import Key

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as 'list' shows it.", show_default=False)]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.", show_default=False)],
    role: Annotated[
        Role, typer.Option(help="client: own jobs; viewer: reads all; operator: acts on all.")
    ] = Role.CLIENT,
    owner: Annotated[str | None, typer.Option(help="Whose jobs it submits. Default: NAME.")] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Days that it is valid. Default: for ever.")] = None,
    max_live_jobs: Annotated[
        int | None, typer.Option(min=0, help="Most live jobs of its owner. Default: CALLBOARD_MAX_LIVE_JOBS.")
    ] = None,
    submissions_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Default: CALLBOARD_SUBMISSIONS_PER_SECOND.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only a hash of it is stored.

    From the first key on, every request needs one, on this machine too.
    """
    from callboard.db.access.keys import add_key

    settings = database_settings()
    text = KeyText.generate(settings.environment)
    with transaction(settings, role="keys") as connection:
        key = add_key(
            connection,
            text,
            name=plain(name, "NAME"),
            owner=plain(name if owner is None else owner, "--owner"),
            role=role,
            lifetime=None if days is None else timedelta(days=days),
            max_live_jobs=max_live_jobs,
            submissions_per_second=submissions_per_second,
        )
        audit(connection, "key.create", key.key_id)
    _show_once(key, text, as_json=as_json)


@app.command("list")
def list_all(
    everything: Annotated[bool, typer.Option("--all", help="Those that are no longer valid, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the keys, newest first; never their secrets."""
    from callboard.db.access.keys import list_keys

    with transaction(database_settings(), role="keys") as connection:
        keys = list_keys(connection)
    now = datetime.now(UTC)
    items = [_shown(key) for key in keys if everything or key.is_valid(now)]
    if as_json:
        print_json({"items": items})
    elif items:
        from callboard.cli.display.tables import Rows

        output().print(Rows(items))
    else:
        narration().print("No keys.")


@app.command()
def revoke(key_id: KeyId) -> None:
    """End a key for good. Servers refuse it within five seconds."""
    from callboard.db.access.keys import revoke_key

    with transaction(database_settings(), role="keys") as connection:
        key = revoke_key(connection, _id(key_id))
        audit(connection, "key.revoke", key.key_id)
    narration().print(f"Key {key.key_id} ({key.name}) is revoked. Servers refuse it within five seconds.")


@app.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        float, typer.Option(min=0, max=366, help="Hours that the old key stays valid. 0: it is revoked.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Make a new key with everything that another has but its secret and id, end the other, and print the new one."""
    from callboard.db.access.keys import rotate_key

    settings = database_settings()
    text = KeyText.generate(settings.environment)
    with transaction(settings, role="keys") as connection:
        old_id = _id(key_id)
        key = rotate_key(connection, old_id, text, overlap=timedelta(hours=overlap))
        audit(connection, "key.rotate", old_id)
    _show_once(key, text, as_json=as_json)


def _id(text: str) -> str:
    """Return the id. Of a whole key, which an error message must not repeat, return the id in it."""
    if not text.startswith(PREFIX):
        return text
    key = KeyText.parse(text)
    if key is None:
        raise typer.BadParameter("give the key's id, as 'callboard keys list' shows it", param_hint="'ID'")
    return key.key_id


def _show_once(key: Key, text: KeyText, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": text.reveal(), **_shown(key)})
        return
    narration().print(f"Key {key.key_id} for {key.owner} ({key.role}). Keep it now: it cannot be shown again.")
    typer.echo(text.reveal())


def _shown(key: Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "owner": key.owner,
        "role": key.role.value,
        "max_live_jobs": key.max_live_jobs,
        "submissions_per_second": key.submissions_per_second,
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
