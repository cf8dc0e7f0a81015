/** Unwinds the code of a process that was killed in the middle of a step or a write. */
export class ProcessKilled extends Error {
  override readonly name = "ProcessKilled"
}

/** Runs code of a process, up to where it is killed. */
export const untilKilled = (run: () => void): void => {
  try {
    run()
  } catch (thrown) {
    if (!(thrown instanceof ProcessKilled)) throw thrown
  }
}
