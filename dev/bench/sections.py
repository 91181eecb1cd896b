import argparse


async def sections(options: argparse.Namespace) -> None:
    print(options)
