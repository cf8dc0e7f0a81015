/**
 * One turn of a host: its work, once, and then every link that has something to say says it in one
 * batch. Turns follow the event loop: what came in from all sockets is handled together.
 */
import type { Link } from "./link.ts"

export class Turn {
  private readonly work: () => void
  private links: Array<Link> = []
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

  /** Has `link` flushed at the end of the turn. */
  add(link: Link): void {
    this.links.push(link)
    this.wake()
  }

  private readonly run = (): void => {
    this.scheduled = false
    this.work()
    const links = this.links
    this.links = []
    for (const link of links) link.flush()
  }
}
