/**
 * One turn of a host: its work, and then every link that has something to say says it in one
 * batch. Turns follow the event loop: what came in from all sockets is handled together.
 */
export class Turn {
  private readonly work: () => void
  private scheduled = false

  constructor(work: () => void) {
    this.work = work
  }

  /** Has a turn run soon; never within this call. */
  wake(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(this.run)
  }

  private readonly run = (): void => {
    this.scheduled = false
    this.work()
  }
}
