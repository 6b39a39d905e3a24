"""Users and the ledger from the command line: who may, what holds, and what an outsider can check."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tocsin.interfaces.cli import app

ADA, BOB = "correct horse battery", "the river is rising"


def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(w) for w in words], input=stdin)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an administrator and an operator."""
    data = tmp_path_factory.mktemp("cli") / "centre"
    first = run("user", "add", str(data), "ada", "--role", "administrator", "--purpose", "exercise", stdin=f"{ADA}\n")
    assert first[0] == 0, first
    second = run("user", "add", str(data), "bob", "--role", "operator", "--as", "ada", stdin=f"{ADA}\n{BOB}\n")
    assert second[0] == 0, second
    return data


def first_id(centre: Path) -> str:
    return str(json.loads(run("ledger", "show", str(centre), "--json")[1])[0]["id"])


def test_an_administrator_lists_who_may_sign_in(centre: Path) -> None:
    code, out, _ = run("user", "list", str(centre), "--as", "ada", "--json", stdin=f"{ADA}\n")
    assert code == 0
    assert [(u["name"], u["roles"]) for u in json.loads(out)] == [("ada", ["administrator"]), ("bob", ["operator"])]


def test_nobody_manages_users_without_a_name_a_password_and_the_right(centre: Path) -> None:
    for words, stdin, says in (
        ((), "", "wanted --as ADMINISTRATOR"),
        (("--as", "ada"), "wrong horse battery\n", "the name or the password is wrong"),
        (("--as", "bob"), f"{BOB}\n", "bob may not manage users"),
        (("--as", "ada"), "", "stdin has ended"),
    ):
        code, out, err = run("user", "list", str(centre), *words, stdin=stdin)
        assert (code, out) == (1, "")
        assert says in err


def test_no_command_takes_a_password_as_a_word(centre: Path) -> None:
    assert run("user", "add", str(centre), "eve", "--role", "operator", "--password", "x")[0] == 2


def test_a_first_user_that_cannot_be_leaves_no_folder(tmp_path: Path) -> None:
    for role, secret, says in (
        ("administrator", "short", "wanted 12 to 1000"),
        ("operator", ADA, "wanted administrator among them"),
    ):
        code, _, err = run("user", "add", str(tmp_path / "new"), "ada", "--role", role, "--purpose", "demo", stdin=f"{secret}\n")
        assert code == 1
        assert says in err
    assert not (tmp_path / "new").exists()


def test_a_person_changes_the_password_and_an_administrator_disables(tmp_path: Path) -> None:
    data = str(tmp_path / "centre")
    run("user", "add", data, "ada", "--role", "administrator", "--purpose", "demo", stdin=f"{ADA}\n")
    assert run("user", "password", data, "ada", stdin=f"{ADA}\nanother horse battery\n")[0] == 0
    assert run("user", "list", data, "--as", "ada", stdin=f"{ADA}\n")[0] == 1
    code, _, err = run("user", "disable", data, "ada", "--as", "ada", stdin="another horse battery\n")
    assert code == 1
    assert "last administrator" in err


def test_a_sound_ledger_verifies_and_says_how_much(centre: Path) -> None:
    code, out, _ = run("ledger", "verify", str(centre), "--json")
    assert code == 0
    assert (json.loads(out)["ok"], json.loads(out)["entries"], json.loads(out)["purpose"]) == (True, 2, "exercise")


def test_a_rewritten_ledger_does_not_verify(centre: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    forged.mkdir()
    for name in ("tocsin.db", "node.key"):
        shutil.copy2(centre / name, forged / name)
    with sqlite3.connect(forged / "tocsin.db") as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE entry SET actor = 'mallory' WHERE number = 1")
    code, out, err = run("ledger", "verify", str(forged), "--json")
    assert code == 1
    assert json.loads(out)["error"]["kind"] == "InputError"
    assert "entry 1" in err


def test_an_outsider_checks_a_proof_with_the_key_alone(centre: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    code, out, _ = run("ledger", "prove", str(centre), first_id(centre), "-o", str(proof), "--json")
    assert code == 0
    key = json.loads(out)["key"]
    code, out, _ = run("ledger", "check", str(proof), "--key", key, "--json")
    assert code == 0
    assert json.loads(out)["id"] == first_id(centre)
    assert run("ledger", "check", str(proof), "--key", "0000-1111")[0] == 1
    proof.write_text(proof.read_text().replace("user ada", "user eve", 1))
    assert run("ledger", "check", str(proof), "--key", key)[0] == 1


def test_a_head_that_was_kept_is_a_witness(centre: Path, tmp_path: Path) -> None:
    head = tmp_path / "head.json"
    assert run("ledger", "head", str(centre), "-o", str(head))[0] == 0
    assert json.loads(head.read_text()) == json.loads(run("ledger", "head", str(centre))[1])
    code, out, _ = run("ledger", "verify", str(centre), "--witness", str(head), "--json")
    assert (code, json.loads(out)["witness"]) == (0, 2)
    head.write_text("{}")
    assert run("ledger", "verify", str(centre), "--witness", str(head))[0] == 1


def test_the_ledger_is_shown_from_an_entry_on_and_by_kind(centre: Path) -> None:
    assert [e["number"] for e in json.loads(run("ledger", "show", str(centre), "--after", "1", "--json")[1])] == [2]
    assert json.loads(run("ledger", "show", str(centre), "--kind", "order", "--json")[1]) == []
    assert first_id(centre) in run("ledger", "show", str(centre))[1]


def test_the_chain_of_a_record_begins_with_it(centre: Path) -> None:
    code, out, _ = run("ledger", "chain", str(centre), first_id(centre), "--json")
    assert code == 0
    assert json.loads(out)["nodes"][0]["id"] == first_id(centre)
    assert run("ledger", "chain", str(centre), "order-none")[0] == 1


def test_a_lost_node_key_is_told_with_what_to_do_and_a_new_one_is_taken_on_a_persons_word(centre: Path, tmp_path: Path) -> None:
    data, head = tmp_path / "centre", tmp_path / "head.json"
    shutil.copytree(centre, data)
    assert run("ledger", "head", str(data), "-o", str(head))[0] == 0
    (data / "node.key").rename(tmp_path / "node.key")
    code, _, err = run("user", "list", str(data), "--as", "ada", stdin=f"{ADA}\n")
    assert code == 1
    assert "node.key: is missing" in err
    assert f"put that file back from the backup; only if it is lost for good: tocsin ledger rekey {data}" in err
    rekey = ("ledger", "rekey", str(data), "--reason", "the disk broke")
    code, _, err = run(*rekey)
    assert code == 1
    assert "only by a person's word" in err
    assert not (data / "node.key").exists()
    code, out, err = run(*rekey, "--witness", str(head), "--yes", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["entries"] == 3
    entry = json.loads(run("ledger", "show", str(data), "--after", "2", "--json")[1])[0]
    assert entry["record"]["kind"] == "note"
    assert entry["record"]["text"].endswith("the disk broke (2 entries verified first, against a witness)")
    assert told["key"] in entry["record"]["text"]
    code, out, _ = run("ledger", "verify", str(data), "--witness", str(head), "--json")
    assert (code, json.loads(out)["key"]) == (0, told["key"])
    assert run("user", "list", str(data), "--as", "ada", stdin=f"{ADA}\n")[0] == 0


def test_a_key_that_is_there_is_not_replaced_and_the_old_one_is_refused_after_a_new_one(centre: Path, tmp_path: Path) -> None:
    data = tmp_path / "centre"
    shutil.copytree(centre, data)
    old = (data / "node.key").read_bytes()
    code, _, err = run("ledger", "rekey", str(data), "--reason", "to be sure", "--yes")
    assert code == 1
    assert "a new key is only for one that is lost" in err
    assert (data / "node.key").read_bytes() == old
    (data / "node.key").unlink()
    assert run("ledger", "rekey", str(data), "--reason", "lost", "--yes")[0] == 0
    (data / "node.key").write_bytes(old)
    code, _, err = run("user", "list", str(data), "--as", "ada", stdin=f"{ADA}\n")
    assert code == 1
    assert "node.key: is another key" in err
    assert run("ledger", "rekey", str(tmp_path / "nowhere"), "--reason", "lost", "--yes")[0] == 1
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("verb", ["verify", "show", "head"])
def test_a_folder_without_a_ledger_is_named_and_stays_as_it_was(verb: str, tmp_path: Path) -> None:
    code, out, err = run("ledger", verb, str(tmp_path / "nowhere"))
    assert (code, out) == (1, "")
    assert "nowhere" in err
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_was_cut_says_so_and_how_it_goes_on(centre: Path) -> None:
    code, out, err = run("ledger", "show", str(centre), "--limit", "1")
    assert (code, len(out.splitlines()), err) == (0, 1, "There is more: these are the first 1; --after 1 goes on.\n")
    code, out, err = run("ledger", "show", str(centre))
    assert (code, err) == (0, "")
    assert len(out.splitlines()) > 1
