/** A connection with its link core: what a host or a client holds of one link. */
import type { Limits } from "../../base/limits.ts"
import type { Goodbye, Hello } from "../../link/frame.ts"
import { LinkCore } from "../../link/linkCore.ts"
import type { Message } from "../../server/Message.ts"
import type { Connection, ConnectionEvents } from "../Carrier.ts"
import type { Turn } from "./turn.ts"

export interface LinkOwner {
  readonly limits: Limits
  readonly turn: Turn
  readonly nowMs: () => number
  /** Why this link is refused. */
  readonly check: (link: Link, theirs: Hello) => Goodbye | undefined
  readonly opened: (link: Link, theirs: Hello) => void
  readonly receive: (link: Link, message: Message) => void
  /** Once, also for a link that never opened. `byPeer`: the other side said goodbye. */
  readonly closed: (link: Link, why: LinkClosed) => void
}
export interface LinkClosed {
  /** Absent: the connection broke or was never made. */
  readonly goodbye: Goodbye | undefined
  readonly byPeer: boolean
  /** For people. */
  readonly text: string
}

const HEALTHY: ReadonlySet<string> = new Set(["not_ready", "replaced", "cancelled"])
/** Whether a link ended in good health: one side stops, or has a newer one. */
export const isHealthy = ({ code }: Goodbye): boolean => HEALTHY.has(code)

export class Link {
  readonly core: LinkCore
  readonly bornMs: number
  /** What the owner knows the link by: a peer's id or a client's route, once it is open. */
  id = 0
  /** A client's name for quotas; empty: a member's link. */
  client = ""
  theirs: Hello | undefined
  private readonly owner: LinkOwner
  private connection: Connection | undefined
  private queued = false
  private over = false

  constructor(owner: LinkOwner, hello: Hello) {
    this.owner = owner
    this.bornMs = owner.nowMs()
    this.core = new LinkCore({
      limits: owner.limits,
      hello,
      check: (theirs) => owner.check(this, theirs),
      opened: (theirs) => {
        this.theirs = theirs
        this.connection?.trust()
        owner.opened(this, theirs)
      },
      receive: (message) => owner.receive(this, message)
    })
  }

  /** For the connection; valid before `begin`. */
  readonly events: ConnectionEvents = {
    frame: (frame) => this.onFrame(frame),
    drained: () => {},
    leaving: () => {},
    closed: (reason) => this.finish({ goodbye: undefined, byPeer: true, text: reason })
  }

  get remote(): string {
    return this.connection?.remote ?? "unknown"
  }

  begin(connection: Connection): void {
    this.connection = connection
    this.core.start()
    this.push()
  }

  send(message: Message): void {
    if (this.over) return
    this.core.send(message)
    if (this.core.full) this.push()
    if (this.queued) return
    this.queued = true
    this.owner.turn.add(this)
  }

  /** The end of a turn. */
  flush(): void {
    this.queued = false
    this.push()
    this.acknowledge(false)
    this.settle()
  }

  /** Every `tickMs`: what was received is acknowledged, a link without hello is cut. */
  tick(): void {
    this.acknowledge(true)
    if (this.core.state !== "opening") return
    if (this.owner.nowMs() < this.bornMs + this.owner.limits.helloTimeoutMs) return
    this.cut({ code: "deadline_exceeded", detail: "no hello came in time" })
  }

  /** Ends the link; the peer is told why. */
  cut(goodbye: Goodbye): void {
    this.core.close(goodbye)
    this.settle()
  }

  private onFrame(frame: Uint8Array): void {
    if (this.over) return
    this.core.onBytes(frame)
    if (this.core.state === "closed") this.settle()
    else if (this.core.ready) this.push()
  }

  private push(): void {
    if (this.connection === undefined) return
    for (let frame = this.core.flush(); frame !== undefined; frame = this.core.flush()) {
      this.connection.send(frame)
    }
  }

  private acknowledge(atTick: boolean): void {
    const frame = this.core.flushAck(atTick)
    if (frame !== undefined) this.connection?.send(frame)
  }

  /** A link that its core closed says why and goes. */
  private settle(): void {
    const end = this.core.end
    if (end === undefined || this.over) return
    this.push()
    const { goodbye } = end
    const text = `${goodbye.code}: ${goodbye.detail}`
    this.finish({ goodbye, byPeer: end.by === "peer", text })
  }

  private finish(why: LinkClosed): void {
    if (this.over) return
    this.over = true
    this.connection?.close()
    this.owner.closed(this, why)
  }
}
