"""What is checked in a video: what is measured, what is good, what is refused, and what to do about it.

This table is the one source of the verdicts, of the report's advice and of the page on how to film yourself
(`docs/filming.md`, written by `tools/explain_checks.py`).
"""
from __future__ import annotations

from dataclasses import dataclass

from geneface.config import PrepareConfig
from geneface.report import Verdict

GROUPS = ("Recording", "Framing", "Light and focus", "Sound", "Result")


@dataclass(frozen=True)
class Check:
    """One thing that is measured.

    Attributes:
        name: as verdicts and reports call it.
        group: one of `GROUPS`.
        measures: what the number is, in words.
        form: how the number is written, with its unit.
        least, most: the good range; None leaves that side open.
        advice: what to do when the number lies outside.
        tip: how to film so that it does not, for the page.
        refused: a number this bad, or worse, makes a video unusable; None if none does.
    """

    name: str
    group: str
    measures: str
    form: str
    least: float | None
    most: float | None
    advice: str
    tip: str = ""
    refused: float | None = None

    def good(self, number: float) -> bool:
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)

    def unusable(self, number: float) -> bool:
        """Whether the number is worse than what can be worked with."""
        if self.refused is None:
            return False
        return number < self.refused if self.least is not None else number > self.refused

    def refusal(self) -> str:
        """What is refused, in words."""
        if self.refused is None:
            return ""
        return f"{'under' if self.least is not None else 'over'} {self.form.format(self.refused)}"

    def limits(self) -> str:
        """The good range in words."""
        low = "" if self.least is None else self.form.format(self.least)
        high = "" if self.most is None else self.form.format(self.most)
        if low and high:
            return f"{low} to {high}"
        if self.most == 0:
            return "none"
        return f"at least {low}" if low else f"at most {high}"


CHECKS = {check.name: check for check in (
    # Recording
    Check("length", "Recording", "length of the longest shot without a cut", "{:.1f} s", 30, None,
          "one to three minutes give the best result; more of the same helps little",
          "Talk for one to three minutes, in one go. Use many different words; pause with the mouth closed at times.",
          PrepareConfig.min_seconds),
    Check("cuts", "Recording", "changes of framing, place or person in the whole video", "{:.0f}", None, 0,
          "only the longest shot is used: record in one go", "Do not cut. The longest shot alone is used."),
    Check("jumps", "Recording", "places within the shot where words were cut out", "{:.0f}", None, 0,
          "the head jumps there; nothing is smoothed across: record in one go", "Leave slips of the tongue in."),
    Check("frame rate", "Recording", "pictures per second", "{:.4g} fps", 23, None,
          "at fewer than 25 mouth shapes are missed: film at 25 fps or more", "Film at 25 or 30 pictures a second.",
          8),
    Check("even timing", "Recording", "share of pictures that come early or late", "{:.1f} %", None, 10,
          "time stamps are followed, but mouth movement is unevenly seen: set a constant frame rate",
          "Choose a constant frame rate where the camera app offers it; plug a phone in, close other apps."),
    Check("standstill", "Recording", "longest time in which the picture does not change at all", "{:.2f} s", None, 0.5,
          "the recording hangs there: record on the device itself, not over a call",
          "Record on the device itself; recordings of video calls hang and blur."),
    Check("whole file", "Recording", "share of the declared length that is there", "{:.0f} %", 97, None,
          "the file is cut short: copy it again", "Copy the file itself; do not let a messenger convert it."),
    Check("interlacing", "Recording", "share of looks at two half pictures woven together", "{:.0f} %", None, 0,
          "half pictures were joined, at a loss of sharpness: film in a progressive mode (25p, 50p)",
          "Choose a progressive mode (\"p\", not \"i\") on a camcorder."),
    Check("dynamic range", "Recording", "1 for HDR (HLG or PQ), 0 for the ordinary range", "{:.0f}", None, 0,
          "HDR was brought into the ordinary range: switch HDR off for truer skin",
          "Switch HDR or Dolby Vision off in the camera's settings."),
    # Framing
    Check("face found", "Framing", "share of looks with a face", "{:.1f} %", 98, None,
          "keep the face in view and turned to the camera", "Stay in the picture from the first to the last second.",
          50),
    Check("face size", "Framing", "height of the face over that of the crop", "{:.0f} %", 22, None,
          "come closer to the camera", "Head and shoulders fill the picture."),
    Check("resolution", "Framing", "side of the crop over the size wanted", "{:.0f} %", 90, None,
          "the crop is enlarged: film at a higher resolution, or give a smaller --size",
          "Film in 1080p or more, close enough for the head to be a third of the picture's height."),
    Check("picture size", "Framing", "shorter side of the picture", "{:.0f} px", 256, None,
          "film at a higher resolution", "", 64),
    Check("one person", "Framing", "share of looks with a second face (refused: of similar size)", "{:.0f} %", None, 2,
          "keep others, pictures and screens out of view", "Be alone in the picture; cover posters and mirrors.",
          20),
    Check("facing the camera", "Framing", "share of looks with the head turned away by more than about 35 degrees",
          "{:.0f} %", None, 10, "look into the camera; small turns are welcome, profiles are not learned",
          "Face the camera. Turn and nod a little now and then, as in a conversation."),
    Check("nothing in front", "Framing", "share of looks with a hand or an object before the face", "{:.1f} %", None, 3,
          "keep hands and microphone below the chin",
          "Keep hands and microphone below the chin, hair out of the face."),
    Check("camera", "Framing", "movement of the surroundings over the side of the crop", "{:.1f} %", None, 1.5,
          "put the camera on a stand", "Put the camera on a stand at the height of your eyes."),
    # Light and focus
    Check("brightness", "Light and focus", "brightness of the face, of 255", "{:.0f}", 35, 225,
          "light the face evenly, from the front", "Sit facing a window or a large lamp, not with one behind you."),
    Check("black and white", "Light and focus", "share of the face that is black or burnt out", "{:.1f} %", None, 10,
          "set the exposure for the face; soften hard light", "No sun on the face; no hard shadows."),
    Check("steady light", "Light and focus", "range of the face's brightness", "{:.0f} grey levels", None, 40,
          "switch off automatic exposure, stay out of changing light", "Draw the curtains on a day of passing clouds."),
    Check("exposure jumps", "Light and focus", "largest step of the surroundings' brightness in a fifth of a second",
          "{:.0f} grey levels", None, 8, "lock the exposure",
          "Lock exposure (on most phones: hold a finger on the face)."),
    Check("white-balance jumps", "Light and focus", "largest step of the surroundings' colour balance in a fifth of a second",
          "{:.1f} %", None, 5, "lock the white balance",
          "Lock the white balance; do not mix daylight and lamps."),
    Check("sharpness", "Light and focus", "detail of the face at 128 px", "{:.1f}", 4.0, None,
          "focus on the face, hold the camera still, compress less", "Clean the lens; lock the focus on the face."),
    # Sound
    Check("loudness", "Sound", "level of the loudest parts", "{:.0f} dB", -40, None,
          "speak closer to the microphone", "Speak within a metre of the microphone; a headset is better than a room."),
    Check("clipping", "Sound", "share of samples at the limit", "{:.2f} %", None, 0.1,
          "lower the recording level", "Keep the level meter out of the red."),
    Check("noise", "Sound", "how far pauses lie below speech", "{:.0f} dB", 20, None,
          "record in a quieter room; no music", "Choose a quiet room with curtains or carpet; no music."),
    Check("sound band", "Sound", "highest frequency with speech in it", "{:.1f} kHz", 5.0, None,
          "the sound is muffled (telephone quality): record it at 16 kHz or more",
          "Record at 44.1 or 48 kHz; no telephone or Bluetooth headset sound."),
    Check("sound length", "Sound", "share of the shot that has sound", "{:.0f} %", 95, None,
          "the sound ends early or begins late; the rest counts as silence", "Let sound and picture run together."),
    Check("speech", "Sound", "share of the recording in which somebody speaks", "{:.0f} %", 40, None,
          "the mouth is learned from speech: talk all the time", "Talk all the time, with a short pause now and then."),
    Check("sound in time", "Sound", "by how much the sound comes later than the mouth", "{:+.1f} frames", -2, 2,
          "sound and picture are shifted: correct it in an editor",
          "Record sound and picture with one device, or clap once at the start and align the clap."),
    Check("sound speed", "Sound", "by how much later the sound comes in the last third than in the first",
          "{:+.1f} frames", -2, 2, "sound and picture run at different speeds: stretch the sound in an editor until both "
          "ends fit", "A separate sound recorder runs a little faster or slower than the camera."),
    # Result
    Check("tracking", "Result", "median distance of the fitted from the seen landmarks, at 512 px", "{:.2f} px", None,
          3, "film from the front, sharper, in even light"),
    Check("every frame tracked", "Result", "share of frames with a face", "{:.1f} %", 98, None,
          "frames without a face are filled in from around them"),
    Check("still background", "Result", "how far it is from standing still", "{:.1f} grey levels", None, 6,
          "put the camera on a stand, avoid movement behind the speaker", "Sit before a wall where nothing moves."),
    Check("same background", "Result", "difference of the backgrounds of several clips", "{:.1f} grey levels", None, 6,
          "an avatar has one background: film all clips in one place, with one framing and the same light",
          "Several clips of one person may be given: leave camera, chair and lamps as they are between them.", 25),
)}


def judge(name: str, number: float, note: str = "") -> Verdict:
    """The verdict on a number.

    Args:
        name: of the check.
        number: measured, in the unit of the check's `form`.
        note: added to the value, e.g. where something was found.
    """
    check = CHECKS[name]
    good = check.good(number)
    value = check.form.format(number) + (f" ({note})" if note else "")
    return Verdict(name, "ok" if good else "warn", value, "" if good else check.advice, float(number))
