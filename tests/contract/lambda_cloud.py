"""A ministack with the Lambda runtime and its queue in it, nothing else of ours: `python lambda_cloud.py <state>`.

Prints its port once it answers; ends with its standard input.
"""

import asyncio
import socket
import sys
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local_cloud import emulator


async def main(state: Path) -> None:
    """Serve until the end of standard input."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    emulator.prepare(state, port)
    app = emulator.start(asyncio.get_running_loop())
    from ministack.core.lambda_runtime import execution_credentials
    from ministack.services import lambda_svc

    from local_cloud import async_invocations
    from local_cloud.images import ImageRegistry
    from local_cloud.lambda_runtime import LambdaRuntime, install
    from local_cloud.lambda_runtime.logs import write_logs

    runtime = LambdaRuntime(
        ImageRegistry(state),
        endpoint_url=f"http://127.0.0.1:{port}",
        credentials_for=execution_credentials,
        write_logs=write_logs,
    )
    install(lambda_svc, runtime)
    waits = async_invocations.Waits(error=0.1)
    events = async_invocations.AsyncInvocations(async_invocations.run_function, waits)
    async_invocations.install(events)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    try:
        await serve(app.app, config, shutdown_trigger=lambda: asyncio.to_thread(sys.stdin.read))  # type: ignore[arg-type]
    finally:
        events.close()
        runtime.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
