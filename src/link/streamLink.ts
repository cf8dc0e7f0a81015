/** A link core on its connection: packets go as fast as the connection takes them. */
import type { Limits } from "../base/limits.ts"
import type { ChannelPort, LinkEnd } from "./channel.ts"
import type { Goodbye } from "./goodbye.ts"
import type { Hello } from "./groupHello.ts"
import { LinkCore } from "./linkCore.ts"
import type { Handshake } from "./handshake.ts"
import type { Connection, ConnectionEvents } from "./ports.ts"
import type { UnaryEnds } from "./unaryCall.ts"

export interface LinkOwner {
  readonly limits: Limits
  /** Where the connection is one of calls. */
  readonly unary?: UnaryEnds | undefined
  readonly nowMs: () => number
  readonly offered: (theirs: Hello, link: StreamLink) => ChannelPort | Goodbye
  readonly opened: (link: StreamLink) => void
  /** The connection will end soon, by itself. */
  readonly leaving: (link: StreamLink) => void
  /** Once, also of a link that never opened. */
  readonly closed: (link: StreamLink, end: LinkEnd) => void
  /** There is something to flush at the end of the turn. */
  readonly wake: (link: StreamLink) => void
}

export class StreamLink {
  readonly core: LinkCore
  /** Since when nobody has had a channel on it, or since it began. */
  idleSinceMs: number
  private readonly bornMs: number
  private readonly owner: LinkOwner
  private connection: Connection | undefined
  private sentBytes = 0
  private leaving = false
  private over = false

  constructor(owner: LinkOwner, handshake: Handshake, remote: string) {
    this.owner = owner
    this.bornMs = owner.nowMs()
    this.idleSinceMs = this.bornMs
    this.core = new LinkCore({
      limits: owner.limits,
      remote,
      handshake,
      unary: owner.unary,
      opened: () => {
        this.connection?.trust()
        owner.opened(this)
      },
      offered: (theirs) => owner.offered(theirs, this),
      wake: () => owner.wake(this),
      hurry: () => this.push()
    })
  }

  /** For the connection; valid before `begin`. */
  readonly events: ConnectionEvents = {
    packet: (packet) => {
      this.core.take(packet)
      if (this.core.end !== undefined) this.flush()
    },
    drained: () => this.push(),
    leaving: () => {
      this.leaving = true
      this.owner.leaving(this)
    },
    answered: (sequence) => this.core.onAnswered(sequence),
    closed: (reason) => {
      this.core.broken(reason)
      this.settle()
    }
  }

  begin(connection: Connection): void {
    this.connection = connection
    this.push()
  }

  /** It has carried as much, or lived as long, as one link may; or its connection ends soon. */
  get worn(): boolean {
    const { linkAgeMsMax, streamBytesMax } = this.owner.limits
    const aged = this.owner.nowMs() - this.bornMs >= linkAgeMsMax
    return this.core.isOpen && (aged || this.leaving || this.sentBytes >= streamBytesMax)
  }

  /** The end of a turn. */
  flush(): void {
    this.push()
    this.settle()
  }

  /** Every `tickMs`: a link that does not open, or that nobody uses, ends. */
  tick(): void {
    const { core, owner } = this
    const now = owner.nowMs()
    core.tick(now)
    if (core.channelCount > 0) this.idleSinceMs = now
    if (core.isClosed || now < this.idleSinceMs + owner.limits.helloTimeoutMs) return
    const detail = core.isOpen ? "no group opened on it in time" : "it did not open in time"
    this.close({ code: core.isOpen ? "replaced" : "deadline_exceeded", detail })
  }

  /** Ends it; the peer is told why. */
  close(goodbye: Goodbye): void {
    this.core.close(goodbye)
    this.flush()
  }

  private push(): void {
    const { connection, core } = this
    if (connection === undefined || this.over) return
    const { backlogBytesMax } = this.owner.limits
    // A link that ends flushes what it has: nobody comes back to it.
    while (connection.backlogBytes < backlogBytesMax || core.end !== undefined) {
      const packet = core.flush()
      if (packet === undefined) return
      this.sentBytes += packet.frame.length
      connection.send(packet)
    }
  }

  private settle(): void {
    const { end } = this.core
    if (end === undefined || this.over) return
    this.over = true
    this.connection?.close()
    this.owner.closed(this, end)
  }
}
