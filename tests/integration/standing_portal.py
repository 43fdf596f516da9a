"""`python -m auth.serve` with a thread that Python waits for at its exit, as a job's pool has them,
and that asks somebody who never answers."""

import threading

from auth import serve

if __name__ == "__main__":
    threading.Thread(target=threading.Event().wait, name="stands still").start()
    serve.main()
