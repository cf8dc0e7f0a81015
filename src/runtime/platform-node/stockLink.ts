/**
 * A link over whatever protocol Connect has read: slower than our own, and as good. Connect limits
 * a message to `batchBytesMax` before it comes here.
 */
import { create } from "@bufbuild/protobuf"
import { ConnectError, type HandlerContext } from "@connectrpc/connect"
import { type Batch, BatchSchema } from "../../../gen/quorate/v1/link_pb.ts"
import type { Limits } from "../../base/limits.ts"
import type { Connection, ConnectionEvents, Packet } from "../../link/ports.ts"
import type { Door } from "../Carrier.ts"

export interface StockLinkOptions {
  readonly context: HandlerContext
  readonly door: Door
  readonly limits: Limits
}

export async function* stockLink(
  requests: AsyncIterable<Batch>,
  { context, door, limits }: StockLinkOptions
): AsyncGenerator<Batch> {
  const link = new StockLink(context.requestHeader.get("user-agent") ?? "unknown", limits)
  const events = door.accept(link)
  context.signal.addEventListener("abort", link.close, { once: true })
  void link.read(requests, events).then(link.close)
  try {
    yield* link.batches(events)
  } finally {
    events.closed(link.ended ? (link.why ?? "the stream ended") : "the stream was cut")
  }
}

class StockLink implements Connection {
  readonly remote: string
  backlogBytes = 0
  ended = false
  /** Why this side ended it. */
  why: string | undefined
  private readonly limits: Limits
  private frameBytesMax: number
  private queue: Array<Packet> = []
  private wake = (): void => {}

  constructor(remote: string, limits: Limits) {
    this.remote = remote
    this.limits = limits
    this.frameBytesMax = limits.handshakeFrameBytesMax
  }

  send(packet: Packet): void {
    if (this.ended) return
    this.backlogBytes += packet.frame.length
    this.queue.push(packet)
    this.wake()
  }

  trust(): void {
    this.frameBytesMax = this.limits.batchBytesMax
  }

  readonly close = (): void => {
    this.ended = true
    this.wake()
  }

  async read(requests: AsyncIterable<Batch>, events: ConnectionEvents): Promise<void> {
    try {
      for await (const { frame, tag } of requests) {
        if (this.ended) return
        if (frame.length > this.frameBytesMax) {
          this.why = `a message of ${frame.length} bytes`
          return
        }
        events.packet(tag.length === 0 ? { frame } : { frame, tag })
      }
    } catch (error) {
      this.why = ConnectError.from(error).rawMessage
    }
  }

  async *batches(events: ConnectionEvents): AsyncGenerator<Batch> {
    while (!this.ended || this.queue.length > 0) {
      const packets = this.queue
      this.queue = []
      for (const packet of packets) {
        yield create(BatchSchema, packet)
        this.backlogBytes -= packet.frame.length
      }
      if (this.ended || this.queue.length > 0) continue
      // Not before somebody could wake: `drained` may send.
      const woken = new Promise<void>((resolve) => (this.wake = resolve))
      if (packets.length > 0) events.drained()
      await woken
    }
  }
}
