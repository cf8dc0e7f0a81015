/** Frames of channels that are sent and not acknowledged: what of them is still open. */
import type { Channel } from "./channel.ts"
import { Fifo } from "./fifo.ts"

interface Flight {
  readonly sequence: number
  readonly channel: Channel
  readonly bytes: number
}

export class Flights {
  /** The connection tells of each frame that it was handed on: frames acknowledge nothing. */
  readonly answered: boolean
  /** Invariant: the bytes of `open`. */
  bytes = 0
  /** The highest sequence that was acknowledged. */
  acknowledged = 0
  private readonly open = new Fifo<Flight>()

  constructor(answered: boolean) {
    this.answered = answered
  }

  push(sequence: number, channel: Channel, bytes: number): void {
    channel.onSent(bytes)
    this.bytes += bytes
    this.open.push({ sequence, channel, bytes })
  }

  /** What is wrong with an acknowledgement in a frame of the peer; `undefined`: nothing. */
  fault(told: number, sent: number): string | undefined {
    if (this.answered) return told === 0 ? undefined : "an acknowledgement where answers are"
    if (told >= this.acknowledged && told <= sent) return undefined
    return `acknowledgement ${told}, not in ${this.acknowledged} to ${sent}`
  }

  /** All up to `sequence`. */
  acknowledge(sequence: number): void {
    this.acknowledged = sequence
    for (let flight = this.open.peek(); flight !== undefined; flight = this.open.peek()) {
      if (flight.sequence > sequence) return
      this.bytes -= flight.bytes
      flight.channel.onAcknowledged(flight.bytes)
      this.open.shift()
    }
  }
}
