"""What a library says of a damaged image isn't taken for a full disk."""

from worker.formats.blame import is_ours


def test_a_large_image_that_is_damaged_is_no_failure_of_the_disk() -> None:
    assert not is_ours("unable to write to image\n  webp2vips: unable to read pixels")


def test_a_disk_without_room_is_ours() -> None:
    assert is_ours("unable to write to image\n  system error: No space left on device")
    assert is_ours("unable to write 4096 bytes")


def test_a_file_beyond_what_a_child_may_write_is_the_files_fault() -> None:
    assert not is_ours("unable to copy to memory\n  system error: File too large")
