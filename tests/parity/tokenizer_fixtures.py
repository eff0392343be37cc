"""Ids of odd strings from transformers' CLIPTokenizer, for tests/core/text.

Pinned: transformers 5.23.0, tokenizers 0.23.3 (Apache-2.0). The vocabulary is built from OpenAI's bpe_simple_vocab_16e6.txt.gz (MIT), as the wheel
open_clip_torch 3.3.0 carries it.

    python tests/parity/tokenizer_fixtures.py bpe_simple_vocab_16e6.txt.gz

writes tests/parity/fixtures/text/tokenizer.json: {"strings": [...], "ids": [[...]], "pad": [[...]], "decoded": [...]} where `pad` is the same with
"!" as the padding token (as SD 2.x and SDXL's second tokenizer have it), which makes "!" a token of its own.
"""
import gzip
import json
import random
import sys
import tempfile
from pathlib import Path

from transformers import CLIPTokenizer

OUT = Path(__file__).parent / "fixtures" / "text"


def byte_symbols():
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    symbols = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in symbols]
    symbols.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return [symbols[byte] for byte in printable + others]


def write_folder(path, merges_file, pad):
    lines = gzip.open(merges_file, "rt", encoding="utf-8").read().split("\n")[1 : 49152 - 256 - 2 + 1]
    symbols = byte_symbols()
    tokens = symbols + [s + "</w>" for s in symbols] + [line.replace(" ", "") for line in lines] + ["<|startoftext|>", "<|endoftext|>"]
    path.mkdir(parents=True, exist_ok=True)
    (path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=False), encoding="utf-8")
    (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": pad}
    (path / "special_tokens_map.json").write_text(json.dumps(special))
    (path / "tokenizer_config.json").write_text(json.dumps({**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}))


def odd_strings():
    strings = [
        "", " ", "a", "A", "a photo of an astronaut riding a horse on mars", "A  Cat's 3D-render, 1920x1080!!", "don't we'LL I'D",
        "café naïve 猫と犬", "🚀 emoji (test:1.2)", "cafe\u0301 nai\u0308ve", "ｆｕｌｌ ｗｉｄｔｈ", "ﬁ ligature ﬀ", "İstanbul IŞIK ı", "ΟΔΥΣΣΕΥΣ ΣΑΣ σας",
        "Straße STRASSE ẞ", "ǅ ǆ Ǆ", "Ångström Å", "가각힣 한국어", "각", "नमस्ते दुनिया", "สวัสดีชาวโลก", "مرحبا بالعالم", "שלום עולם", "Привет, мир! Ёлка",
        "e\u0301\u0323 o\u0323\u0302", "a\u0300\u0301\u0302\u0303", "\u0301 alone", "１２３ ٣٤٥ ४५६ Ⅷ ⅷ ½ ² ₃ ① 〇 一二三", "x² + y² = r²", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
        "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷 flags", "👍🏽 tone", "❤️ vs ❤", "☃ ☂ ♥ → ⇒ ∀∃∑", "©®™ ¶§", "“quotes” ‘single’ «guillemets» „low“", "it’s don’t (curly)", "rock'n'roll",
        "'s 't 're 've 'm 'll 'd", "''s", "x''re", "!'s", "'S 'LL", "o'clock y'all'd've", "'", "'''", "'a", "-'m-", "s's'ss", "'ſ", "we' ll",
        "tab\tnewline\nreturn\rvertical\x0bform\x0c", "nbsp\u00a0thin\u2009ideographic\u3000line\u2028para\u2029nel\u0085end", "zero\u200bwidth\u200djoin\ufeffbom",
        "ogham\u1680space mongolian\u180evowel", "\u2003lead", "trail\u3000", "a\u00adsoft", "\x00", "nul\x00in", "\x01\x02\x1b[0m", "del\x7f \x80\x9f", "\ufffd replacement", "\ufffe\uffff",
        "\U0010ffff \ue000 private", "under_score __dunder__", "a-b--c---d", "...…‥", "1,234.56", "3.14e-10", "v1.5.2-rc3", "http://example.com/a?b=c&d=%20#x", "me@example.org", "C:\\path\\file.txt",
        "{json: [1, 2]}", "<html> &amp; </w> &lt;", "</w>", "a</w>", "<|startoftext|>", "<|endoftext|>", "<|STARTOFTEXT|>", "a<|endoftext|>b", "x <|startoftext|> y <|endoftext|> z",
        "<|endoftext|><|endoftext|>", "<|endoftext", "|endoftext|>", "<||>", "<|endof text|>", "<|startoftext|>photo", "! !! !!! a! !a", "!", "hello!world", "wow!!!",
        "(cat:1.2) [dog] {bird}", "a:b::c", "\\(escaped\\)", "word" * 60, "supercalifragilisticexpialidocious antidisestablishmentarianism", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a" * 1000,
        "hahahahahaha", "1" * 100, "?" * 100, "猫" * 50, "🚀" * 40, "the " * 200, "a photo of a cat, " * 30, "ᏣᎳᎩ ꭰ Ꭰ", "ⴀⴁ Ⴀ Ა", "Ⓐ ⓐ", "𐐀𐐨", "ꙀꙁꚀ", "ʰʷˠ ˈa ˌb", "ªº", "א֑ב",
        "ℌ ℵ K Å Ω", "K K", "ά ά", "각 각", "क़ क़", "שּׁ", "䷀ ䷁", "㍿ ㈱ ㌔", "豈更車 欄", "\U0002f800 \U00020000 \U0002a6df", "ㄅㄆㄇ ㄱㄴ ｱｲｳ", "ッーゝ々〆", "１．５倍", "50％ off", "€100 £5 ¥99 ₽",
    ]
    generator = random.Random(20240501)
    ranges = [(0x20, 0x7F), (0x20, 0x7F), (0xA0, 0x250), (0x250, 0x370), (0x370, 0x590), (0x590, 0x900), (0x900, 0xE00), (0xE00, 0x1100), (0x1E00, 0x2000), (0x2000, 0x2C00), (0x2C00, 0x3000),
              (0x3000, 0x3400), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xF900, 0xFB50), (0xFE00, 0xFFF0), (0x10000, 0x10800), (0x1D400, 0x1D800), (0x1F300, 0x1FA00), (0x0, 0x20), (0x300, 0x370)]
    import unicodedata

    for _ in range(260):
        text = ""
        for _ in range(generator.randint(1, 8)):
            low, high = generator.choice(ranges)
            for _ in range(generator.randint(1, 6)):
                character = chr(generator.randrange(low, high))
                if unicodedata.category(character) != "Cn":  # later versions of Unicode disagree about what is unassigned
                    text += character
            text += generator.choice(["", "", " ", "  ", "'s", "'", "!"])
        strings.append(text)
    return strings


def main():
    strings = odd_strings()
    result = {"strings": strings}
    with tempfile.TemporaryDirectory() as folder:
        for key, pad in (("ids", "<|endoftext|>"), ("pad", "!")):
            path = Path(folder) / key
            write_folder(path, sys.argv[1], pad)
            tokenizer = CLIPTokenizer.from_pretrained(path)
            result[key] = [tokenizer(text)["input_ids"][1:-1] for text in strings]
            if key == "ids":
                result["decoded"] = [tokenizer.decode(ids, clean_up_tokenization_spaces=False) for ids in result["ids"]]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "tokenizer.json").write_text(json.dumps(result, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(len(strings), "strings,", (OUT / "tokenizer.json").stat().st_size, "bytes")


main()
