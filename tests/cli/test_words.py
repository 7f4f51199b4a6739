"""What a command line or a file may say, and the one line that answers words that are wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stnas.cli import main
from stnas.cli.parser import parse
from stnas.config import Config
from stnas.config.keys import build, keys, words_of
from stnas.config.values import UsageError, Word, example, value_of
from stnas.store.origin import plain
from stnas.store.settings import read_file, sealed_settings, stored_values


def refused(words):
    with pytest.raises(UsageError) as caught:
        parse(words)
    text = str(caught.value)
    assert "\n" not in text
    return text


def config(*words):
    return parse(["train", *words]).config


def stnas(*words, **options):
    command = [sys.executable, "-m", "stnas", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_genotypes_are_given_one_by_one():
    words = ["retrain", "--genotype", "(2, 1)", "--genotype=st1-x", "--retrain.genotypes", "[a]"]
    assert parse(words).config.retrain.genotypes == ("a", "(2, 1)", "st1-x")
    assert parse(["retrain"]).config.retrain.genotypes == ()
    assert "unknown option --genotype" in refused(["train", "--genotype", "a"])


WRONG = [
    (["trian"], "unknown command 'trian': did you mean train?"),
    (["x"], "unknown command 'x': take one of train,"),
    (["train", "--train.epoch", "5"], "--train.epoch: did you mean --train.epochs?"),
    (["train", "--trian.epochs=5"], "did you mean --train.epochs"),
    (["train", "--epochs", "5"], "did you mean --train.epochs or"),
    (["train", "--batch-size", "5"], "did you mean --train.batch_size"),
    (["train", "--runs", "5"], "did you mean --run?"),
    (["train", "-run", "5"], "did you mean --run?"),
    (["train", "--confg", "imagenet"], "did you mean --config?"),
    (["train", "--print-config"], "did you mean --print_config?"),
    (["train", "--print_config=1"], "unknown option --print_config"),
    (["train", "--train.epochs", "many"], "train.epochs must be a whole number, got 'many'"),
    (["train", "--train.epochs", "2.5"], "train.epochs must be a whole number, got '2.5'"),
    (["train", "--train.epochs", ""], "train.epochs must be a whole number, got ''"),
    (["train", "--train.epochs", "[3]"], "train.epochs must be a whole number"),
    (["train", "--train.epochs"], "--train.epochs must be followed by a value, got nothing"),
    (["train", "--run", "--seed", "1"], "--run must be followed by a value, got --seed"),
    (["train", "--search.madds_max", ".inf"], "search.madds_max must be a finite number"),
    (["train", "--search.limits", "[1, .nan]"], "search.limits must be a list of finite numbers"),
    (["train", "--search.limits", "[1"], "search.limits must be a list of finite numbers"),
    (["train", "--data.flip", "maybe"], "data.flip must be true or false, got 'maybe'"),
    (["train", "--sgld.mode", "posteror"], "did you mean posterior?"),
    (["train", "--data.crop_scale", "0.5"], "data.crop_scale must be a list of 2 finite numbers"),
    (["train", "--train", "3"], "--train must name a key of this section"),
    (["train", "--train={epochs: 3}"], "--train must name a key of this section"),
    (["train", "--space.stages", "[3,", "2]"], "as in --space.stages '[3, 2]'"),
    (["train", "--run", "a", "b"], "unexpected word 'b'"),
    (["train", "--config", "imagenot"], "did you mean imagenet?"),
    (["train", "--config=no.yaml"], "'no.yaml', which is neither"),
    (["doctor", "x"], "unexpected word 'x'"),
    (["doctor", "--run", "x"], "unknown option --run"),
    (["count"], "stnas count must be given a network"),
    (["count", "a", "b"], "unexpected word 'b'"),
    (["count", "a", "--image-size", "3"], "did you mean --image_size?"),
    (["count", "a", "--image_size", "x"], "image_size must be a whole number"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_words_are_answered_in_a_line_that_repairs_them(words, message):
    assert message in refused(words)


FILES = [
    ("train: 3\n", "train must be a mapping of its keys, got '3'"),
    ("train: [3]\n", "train must be a mapping of its keys, got a list"),
    ("train: epochs\n", "`epochs: VALUE`"),
    ("train:\n  epocs: 3\n", "unknown key 'train.epocs': did you mean train.epochs?"),
    ("epochs: 3\n", "did you mean train.epochs or"),
    ("trian:\n  epochs: 3\n", "unknown key 'trian': did you mean train"),
    ("train:\n  epochs: {a: 1}\n", "train.epochs must be a value or a list of values"),
    ("seed: [[1]]\n", "seed must be a value or a list of values"),
    ("seed: 1\nseed: 2\n", "seed must be given once"),
    ("train: {epochs: 1, epochs: 2}\n", "train.epochs must be given once"),
    ("seed: null\n", "seed must be a whole number, got 'null'"),
    ("seed: !!python/name:os.system 3\n", "seed must have no tag"),
    ("- seed\n", "lines of `key: value`"),
    ("seed\n", "lines of `key: value`"),
    ("seed: [1\n", "must be YAML"),
    ("seed: 1\n---\nseed: 2\n", "must be YAML"),
    ("seed: *unknown\n", "must be YAML"),
    ("search: {limits: [1, .inf]}\n", "search.limits must be a list of finite numbers"),
    ("[" * 5000, "must"),
    ("a: &a [*a]\n", "unknown key 'a'"),
    ("seed: " + "9" * 5000 + "\n", "seed must be a whole number, got '9999"),
    ("# " + "x" * 300_000 + "\n", "must have 262144 bytes or fewer"),
]


@pytest.mark.parametrize(("text", "message"), FILES, ids=lambda value: value[:30].strip())
def test_a_wrong_file_is_answered_with_its_name_and_the_key(tmp_path, text, message):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    text = refused(["train", "--config", str(file)])
    assert text.startswith(str(file))
    assert message in text
    assert len(text) < 600


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"run: caf\xe9\n")
    assert "UTF-8" in refused(["train", "--config", str(tmp_path / "latin.yaml")])
    assert "Is a directory" in refused(["train", "--config", str(tmp_path)])


@pytest.mark.parametrize("key", ["run", "search", "train", "space.stages"])
@pytest.mark.parametrize("stored", [True, False])
def test_aliases_of_aliases_are_not_copied(tmp_path, key, stored):
    file = tmp_path / "config.yaml"
    lists = "[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]"
    nested = lists.format("x")
    head = "anchors: &a0 " + nested + "\n"
    chain = "".join(f"x{i}: &a{i} {lists.format(f'*a{i - 1}')}\n" for i in range(1, 30))
    for text in (f"{head}{chain}{key}: *a29\n", f"{key}: &a0 {nested}\n"):
        file.write_text(text)
        words = ["--run", str(tmp_path)] if stored else ["--config", str(file)]
        assert "config.yaml" in refused(["sgld", *words])


def test_merged_mappings_are_read_once_each(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(
        "train: &t {batch_size: 64, learning_rate: 0.5}\nretrain: {<<: *t, epochs: 7}\n"
    )
    made = config("--config", str(file))
    assert (made.retrain.batch_size, made.retrain.learning_rate) == (64, 0.5)
    assert made.retrain.epochs == 7
    file.write_text("train: &t {epochs: 3, <<: [*t, *t]}\n")
    assert config("--config", str(file)).train.epochs == 3


def test_files_and_options_have_their_order(tmp_path):
    for name, epochs in (("a", 5), ("b", 6)):
        (tmp_path / f"{name}.yaml").write_text(f"train: {{epochs: {epochs}}}\nrun: {tmp_path}/r\n")
    first, second = str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")
    assert config("--config", first, "--config", second).train.epochs == 6
    assert config(f"--config={second}", f"--config={first}").train.epochs == 5
    assert config("--train.epochs", "9", "--config", first).train.epochs == 9
    assert config("--train.epochs", "9", "--train.epochs=8").train.epochs == 8
    (tmp_path / "r").mkdir()
    stored = {"run": "moved/away", "train": {"epochs": 70, "batch_size": 33}}
    (tmp_path / "r/config.yaml").write_bytes(sealed_settings(stored))
    made = config("--config", first)
    assert (made.train.epochs, made.train.batch_size) == (5, 33)
    assert made.run == f"{tmp_path}/r"


def test_the_default_folder_and_that_of_a_recipe_have_settings_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, command in (("default", "train"), ("quickstart", "quickstart")):
        place = Path("runs") / folder
        place.mkdir(parents=True)
        (place / "config.yaml").write_text("seed: 77\n")
        made = parse([command]).config
        assert (made.seed, made.run) == (77, f"runs/{folder}")


FORMS = {
    "--search.limits=500000": ("search.limits", (5e5,)),
    "--search.limits=1e6,2e6": ("search.limits", (1e6, 2e6)),
    "--search.limits=[1e6, 2e6]": ("search.limits", (1e6, 2e6)),
    "--search.limits=(1e6, 2_000_000,)": ("search.limits", (1e6, 2e6)),
    "--search.limits=null": ("search.limits", None),
    "--train.ema=[]": ("train.ema", ()),
    "--train.epochs=1e3": ("train.epochs", 1000),
    "--train.epochs=+7": ("train.epochs", 7),
    "--train.learning_rate=1": ("train.learning_rate", 1.0),
    "--data.flip=No": ("data.flip", False),
    "--rank.ways=single,tail": ("rank.ways", ("single", "tail")),
    "--rank.ways=['single', \"tail\"]": ("rank.ways", ("single", "tail")),
    "--threads=null": ("threads", None),
}


@pytest.mark.parametrize(("word", "expected"), FORMS.items(), ids=FORMS)
def test_values_have_the_forms_that_people_write(word, expected, tmp_path):
    name, value = expected
    found = plain(config(f"--run={tmp_path}", word))
    for part in name.split("."):
        found = found[part]
    assert found == plain(value)
    assert type(found) is type(plain(value))


def test_a_switch_may_go_without_its_word(tmp_path):
    assert config(f"--run={tmp_path}", "--train.affine", "--seed", "3").train.affine is True
    assert parse(["count", "x", "--explain"]).options.explain is True


ODD = ["a [b]*?", "1e3", "007", "null", "true", "~", "~/x", 'it\'s "q"', ":dog:", "[red]x[/x]"]
ODD += ["a\nb", "{a: b}", "# c", "x: y", "1_0", "0x10", "2001-01-01", "<<", "!!str x", "&a", "*a"]
ODD += [".inf", "'", "a\tb", "-x", "--x", "é—", "\x1b[2J", os.fsdecode(b"caf\xe9"), " a ", "%a"]


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_a_path_is_read_back_as_it_was_written(name, tmp_path):
    made = config(f"--run={tmp_path}", f"--data.path={name}", f"--rank.truth=./{name}")
    assert (made.data.path, made.rank.truth) == (name, f"./{name}")
    file = tmp_path / "config.yaml"
    file.write_bytes(sealed_settings({**plain(made), "run": name}))
    found = stored_values(file)
    assert (found["run"], found["data.path"], found["rank.truth"]) == (name, name, f"./{name}")


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_any_text_is_read_back_as_it_was_written(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(sealed_settings({"run": text, "rank": {"truth": text}}))
    assert stored_values(file) == {"run": text, "rank.truth": text}


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**62), 2**62))
def test_any_number_is_read_back_as_it_was_written(tmp_path_factory, number, whole):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    stored = {"seed": whole, "train": {"madds": number}, "search": {"limits": [number, number]}}
    file.write_bytes(sealed_settings(stored))
    expected = {"seed": whole, "train.madds": number, "search.limits": (number, number)}
    assert stored_values(file) == expected


def test_home_stands_for_a_tilde_in_front_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Config(run="~/a").folder == tmp_path / "a"
    assert Config(run="a~/~").folder == Path("a~/~")
    assert Config(run="~nobody-of-that-name/a").folder == Path("~nobody-of-that-name/a")


def test_every_key_is_read_described_and_built():
    for key in keys().values():
        word = example(key.kind)
        value = value_of(key.name, key.kind, Word(word))
        assert value is not None
        assert words_of(key.owner)[key.field]
    assert build({}) == Config()
    assert build({"train.epochs": 3, "run": "x"}).train.epochs == 3


def test_what_is_printed_is_what_is_read(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--run", str(tmp_path), "--config=rehearsal", "--print_config"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    (tmp_path / "my.yaml").write_text(printed)
    assert plain(config("--config", str(tmp_path / "my.yaml"))) == yaml.safe_load(printed)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_usage_names_the_commands(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: stnas")
    assert "quickstart" in out


def test_the_help_of_a_command_has_every_option(capsys):
    for command, expected in (("search", keys()), ("count", ["run", "network"]), ("doctor", [])):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert all(f"\n--{name} " in out for name in expected)


def test_the_help_tells_defaults_as_they_may_be_written(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for default in ("[]", "[255, 255, 255]", "true", "false", "p_drop"):
        assert f"(default: {default})" in told


QUICK = [["--help"], ["--version"], ["trian"], ["train", "--epochs", "3"], ["train", "--help"]]


@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_answers_do_not_wait_for_torch(words):
    code = (
        "import sys; from stnas.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as stop: code = stop.code\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout or done.stderr.count(b"\n") == 1


def test_the_process_ends_as_its_words_deserve():
    done = stnas()
    assert (done.returncode, done.stdout[:6]) == (0, "usage:")
    done = stnas("train", "--epochs", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stnas: error: unknown option --epochs")
    assert stnas("--version").stdout.startswith("stnas 0.")


@pytest.mark.parametrize("words", [["train", "--help"], ["train", "--print_config"]])
def test_a_reader_who_has_enough_gets_no_traceback(words, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "stnas", *words, "--run", str(tmp_path)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_answer_that_cannot_be_written_is_an_error(tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "stnas", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"free some space" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("sizes", ["[9]", "1,3", "3,5,7,11"])
def test_kernels_that_are_not_compiled_are_named(sizes, tmp_path):
    words = ["train", f"--run={tmp_path}", f"--space.kernels={sizes}"]
    with pytest.raises(ValueError, match=r"space\.kernels must be of 3, 5 and 7.*reference"):
        parse(words)
    assert parse([*words, "--kernels=reference"]).config.space.kernels


def attempted(call, *words):
    """Return what a call gives, or what it is refused with."""
    try:
        return call(*words), ""
    except UsageError as error:
        return None, str(error)


@given(st.sampled_from(sorted(keys())), st.text(), st.booleans())
def test_any_word_is_a_value_or_refused_with_its_key(name, text, plain_word):
    value, refusal = attempted(value_of, name, keys()[name].kind, Word(text, plain_word))
    if refusal:
        assert refusal.startswith(f"{name} must be ")
        assert len(refusal) < 400
    else:
        assert plain_word or value is not None


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NODES = st.recursive(
    LEAVES | st.sampled_from(sorted(keys())),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["train", "epochs", "search", "limits", "x", "<<"]), inner
        )
    ),
    max_leaves=8,
)


@given(NODES)
def test_any_file_is_read_or_refused(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(yaml.safe_dump(value))
    found, refusal = attempted(read_file, file)
    assert refusal.startswith(str(file)) if refusal else found.keys() <= keys().keys()


def test_a_strategy_brings_its_recipe_along_below_what_is_given(tmp_path, capsys):
    words = ["--run", str(tmp_path / "run"), "--space.family", "nb201"]
    gdas = parse(["train", *words, "--train.strategy", "gdas", "--train.momentum", "0.5"]).config
    assert (gdas.train.epochs, gdas.train.batch_size, gdas.train.momentum) == (250, 64, 0.5)
    assert (gdas.search.strategy, gdas.alpha.nesterov) == ("derived", True)
    plain = parse(["train", *words]).config
    assert (plain.train.epochs, plain.search.strategy) == (600, "nsga2")
