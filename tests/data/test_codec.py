import contextlib
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.codec import BEGIN, END, PAD, UNKNOWN, Codec
from attend.data.files import DataError

LINES = [
    "the quick brown fox jumps over the lazy dog",
    "the dog naïvely \u0065\u0301tudies 日本語 and 한국어",
    "x▁y <unk> <pad> <end > <unk > 👩‍👩‍👧 the\tend",
] * 3
KINDS = ("word", "bpe", "unigram", "character")
CODECS = {kind: Codec.train(LINES, kind, 200) for kind in KINDS}
SEEN = "".join(sorted(set("".join(LINES)) - {" ", "\t"}))

each_kind = pytest.mark.parametrize("kind", KINDS)
any_text = st.text(st.one_of(st.sampled_from(SEEN + " "), st.characters(exclude_categories=["Cs"])))


@each_kind
@given(words=st.lists(st.text(SEEN, min_size=1), max_size=6))
def test_text_of_known_characters_comes_back(kind, words):
    codec = CODECS[kind]
    known = [word for word in words if kind != "word" or word in LINES[0].split()]
    text = " ".join(known)
    assert codec.decode(codec.encode(text).ids) == text
    assert UNKNOWN not in codec.encode(text).ids


@each_kind
@given(text=any_text)
def test_tokens_stand_where_their_offsets_say(kind, text):
    codec = CODECS[kind]
    encoded = codec.encode(text)
    assert encoded.tokens == [text[start:end] for start, end in encoded.offsets]
    position = 0
    for token, (start, end), id_ in zip(encoded.tokens, encoded.offsets, encoded.ids, strict=True):
        assert position <= start <= end
        # All that is skipped is the space between words.
        assert text[position:start].strip() == ""
        if id_ != UNKNOWN and token:
            assert codec.piece(id_) in (token, " " + token)
        position = end
    assert text[position:].strip() == ""
    if kind != "word":
        assert "".join(encoded.tokens) == text
    assert codec.encode_many([text, "the"]) == [encoded.ids, codec.encode("the").ids]


@each_kind
@given(text=any_text)
def test_no_text_makes_a_special_token(kind, text):
    assert not {PAD, BEGIN, END} & set(CODECS[kind].encode(text).ids)


@each_kind
def test_no_text_spells_a_special_token(kind):
    text = "<pad > the <end > <begin ><unk > <end>"
    codec = Codec.train([text], kind, 200)
    assert min(codec.encode(text).ids) > END
    assert codec.decode(codec.encode(text).ids) == text


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_run_of_unknown_characters_is_one_token(kind):
    assert CODECS[kind].encode("the ЖЖЖ").tokens[-1] == "ЖЖЖ"


@each_kind
@given(ids=st.lists(st.integers(0, 24)))
def test_what_is_spelled_stands_where_its_offsets_say(kind, ids):
    codec = CODECS[kind]
    spelled = codec.spell(ids)
    assert spelled.text == codec.decode(ids)
    assert spelled.tokens == [spelled.text[start:end] for start, end in spelled.offsets]
    for token, id_ in zip(spelled.tokens, spelled.ids, strict=True):
        assert token == codec.piece(id_) or " " + token == codec.piece(id_)


@each_kind
@given(text=any_text)
def test_words_of_tokens(kind, text):
    encoded = CODECS[kind].encode(text)
    words = text.split()
    for (start, _), token, word in zip(encoded.offsets, encoded.tokens, encoded.words(), strict=True):
        if token.strip():
            first = token.split()[0]
            # A token across a tab belongs to the word that it begins in.
            assert first in words[word]
            assert len(text[: start + len(token) - len(token.lstrip()) + 1].split()) == word + 1
        else:
            assert 0 <= word < max(len(words), 1)


def test_words_by_example():
    assert CODECS["character"].encode("ab  c ").words() == [0, 0, 1, 1, 1, 1]
    assert CODECS["bpe"].encode("quick fox").words() == [0, 1]


@each_kind
def test_special_ids(kind):
    codec = CODECS[kind]
    assert [codec.piece(special) for special in (PAD, UNKNOWN, BEGIN, END)] == ["<pad>", "<unk>", "<begin>", "<end>"]
    the = codec.encode("the").ids
    assert codec.decode([BEGIN, *the, PAD, END, *the]) == "the"


@each_kind
def test_unseen_characters_are_unknown(kind):
    codec = CODECS[kind]
    encoded = codec.encode("the Ж")
    assert encoded.ids[-1] == UNKNOWN
    assert encoded.tokens[-1].strip() == "Ж"
    assert codec.decode(encoded.ids) == "the <unk>"


def test_combining_characters_are_not_composed():
    encoded = CODECS["character"].encode("e\u0301é👩‍👧")
    assert encoded.tokens == ["e", "\u0301", "é", "👩", "\u200d", "👧"]
    assert encoded.offsets == [(index, index + 1) for index in range(6)]


def test_word_keeps_the_most_frequent():
    codec = Codec.train(["b a a", "a c c", "c d"], "word", 6)
    assert len(codec) == 6
    assert codec.encode("a b c d").ids == [4, UNKNOWN, 5, UNKNOWN]


def test_subwords_share_entries_between_first_and_later_words():
    for kind in ("bpe", "unigram"):
        first, later = CODECS[kind].encode("the the").ids[:1], CODECS[kind].encode("dog the").ids[-1:]
        assert first == later


@each_kind
def test_save_and_load(kind, tmp_path):
    path = str(tmp_path / "codec.json")
    CODECS[kind].save(path)
    loaded = Codec.load(path)
    text = "the dog <end > Ж"
    assert len(loaded) == len(CODECS[kind])
    assert loaded.encode(text) == CODECS[kind].encode(text)
    assert loaded.decode(loaded.encode("lazy dog").ids) == "lazy dog"


def test_training_is_reproducible_in_another_process(tmp_path):
    # The library's hash tables are seeded anew in each process.
    script = (
        "import sys\nfrom attend.data.codec import Codec\n"
        "lines = [' '.join(str(i * j % 997) for j in range(9)) for i in range(200)]\n"
        "for kind in ('word', 'bpe', 'unigram', 'character'): Codec.train(lines, kind, 150).save(sys.argv[1] + kind)"
    )
    for run in ("a", "b"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / run)], check=True, env={"PYTHONPATH": sys_path()})
    for kind in KINDS:
        assert (tmp_path / f"a{kind}").read_bytes() == (tmp_path / f"b{kind}").read_bytes()


def sys_path():
    return ":".join(path for path in sys.path if path)


@pytest.mark.parametrize("size", [4, 0, -1])
def test_size_without_room(size):
    with pytest.raises(ValueError, match="no room beside its 4 special"):
        Codec.train(LINES, "word", size)


@each_kind
@pytest.mark.parametrize("lines", [[], ["", ""]])
def test_nothing_to_learn_from(kind, lines):
    with pytest.raises(ValueError, match="every line is empty"):
        Codec.train(lines, kind, 50)


def test_unigram_too_small_for_its_characters():
    with pytest.raises(ValueError, match="raise size"):
        Codec.train([" ".join(map(chr, range(0x4E00, 0x4F00)))] * 2, "unigram", 10)


@each_kind
def test_lone_surrogate(kind):
    for attempt in (CODECS[kind].encode, lambda text: CODECS[kind].encode_many([text])):
        with pytest.raises(ValueError, match=r"character 1 of 'a\\ud800' is a lone surrogate"):
            attempt("a\ud800")
    with pytest.raises(ValueError, match="lone surrogate"):
        Codec.train(["a\ud800"], kind, 50)


@pytest.mark.parametrize("token", [-1, 200, 1 << 40])
def test_id_out_of_range(token):
    with pytest.raises(ValueError, match=f"id {token} is not in this vocabulary"):
        CODECS["bpe"].decode([token])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("codec") / "codec.json"
    CODECS["unigram"].save(path)
    return path.read_bytes(), path.with_name("broken.json")


@given(place=st.integers(0, 1000), length=st.integers(1, 40), patch=st.binary(max_size=20))
def test_a_broken_file_is_a_data_error_or_a_codec(saved, place, length, patch):
    data, path = saved
    path.write_bytes(data[:place] + patch + data[place + length :])
    with contextlib.suppress(DataError):
        assert Codec.load(str(path)).encode("the").text == "the"


def test_a_foreign_vocabulary_is_a_data_error(saved):
    data, path = saved
    content = json.loads(data)
    content["model"]["vocab"][:4] = [["<s>", 0.0], ["<unk>", 0.0], ["a", 0.0], ["b", 0.0]]
    content["added_tokens"] = []
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="first ids are not <pad>"):
        Codec.load(str(path))
