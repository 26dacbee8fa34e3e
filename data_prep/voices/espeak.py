"""espeak-ng as a program of its own: sound and timed phones of one text. Run by `engines`, which reads what it writes.

    python espeak.py VOICE WORDS_PER_MINUTE PITCH < text > sound

Writes one line of JSON, {rate, phones: [[ipa, start s], ...]}, then 16-bit samples. The library is under the GPL: it is
loaded here and nowhere else, and nothing of this package is imported.
"""
import ctypes
import ctypes.util
import json
import sys

_RETRIEVAL, _PHONES, _IPA = 2, 1, 2
_END, _PHONE = 0, 7
_UTF8 = 1
_RATE, _PITCH = 1, 3


class _Name(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text_position", ctypes.c_int),
                ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
                ("user_data", ctypes.c_void_p), ("id", _Name)]


def main() -> int:
    voice, rate, pitch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    name = ctypes.util.find_library("espeak-ng")
    if name is None:
        print("libespeak-ng is not installed: apt-get install espeak-ng", file=sys.stderr)
        return 2
    library = ctypes.CDLL(name)
    samples_per_second = library.espeak_Initialize(_RETRIEVAL, 0, None, _PHONES | _IPA)
    sound, phones = bytearray(), []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
    def take(samples, count, events):
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != _END:
            if events[i].type == _PHONE:
                phones.append([bytes(events[i].id.string).decode("utf-8", "ignore"),
                               events[i].sample / samples_per_second])
            i += 1
        return 0

    library.espeak_SetSynthCallback(take)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        print(f"espeak-ng has no voice {voice!r}", file=sys.stderr)
        return 2
    library.espeak_SetParameter(_RATE, rate, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    text = sys.stdin.buffer.read() + b"\0"
    library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(json.dumps({"rate": samples_per_second, "phones": phones}).encode() + b"\n" + bytes(sound))
    return 0


if __name__ == "__main__":
    sys.exit(main())
