"""Video and sound in and out, over PyAV (FFmpeg's libraries): any container in; H.264 + AAC mp4 out, or with alpha
ProRes 4444 and numbered PNGs.

Reading is by time stamp, never by frame count: video of any or variable frame rate becomes a constant
rate, and sound is laid beside it on the same clock, so that they stay together to the last frame.
Everything streams; memory does not grow with the length of a video.
"""
from .crop import Crop
from .pictures import PictureFolder, check_folder
from .reading import MediaInfo, Timing, probe, read_frames, timing
from .shuttle import frames_at
from .sound import SoundPart, audio_blocks, read_audio
from .writing import SYNTHETIC_COMMENT, VideoWriter, is_disk_full, write_wav, writing

__all__ = ["Crop", "MediaInfo", "PictureFolder", "SYNTHETIC_COMMENT", "SoundPart", "Timing", "VideoWriter", "audio_blocks",
           "check_folder", "frames_at", "is_disk_full", "probe", "read_audio", "read_frames", "timing", "write_wav",
           "writing"]
