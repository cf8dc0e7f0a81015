/** Reliable broadcast whose nodes hand each text to their own program, which counts them. */
import {
  MessageSchema,
  ReliableBroadcast
} from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"

export { ReliableBroadcast }

/** Of calls that count for nothing. */
export const WARM = "warm"

/** What one node's program was handed: a bit for each number. */
export class Ledger {
  delivered = 0
  /** Handed over more than once. */
  again = 0
  private readonly bits: Uint8Array

  constructor(numbers: number) {
    this.bits = new Uint8Array(Math.ceil(numbers / 8))
  }

  note(text: string): void {
    if (text === WARM) return
    const number = Number(text)
    const bit = 1 << (number & 7)
    const at = number >>> 3
    if ((this.bits[at]! & bit) !== 0) this.again++
    else this.delivered++
    this.bits[at]! |= bit
  }
}

export const soaked = (ledger: Ledger) =>
  ReliableBroadcast.protocol(
    { deliver: { message: MessageSchema, to: ({ text }) => ledger.note(text) } },
    {
      broadcast: ({ message, forward }) => forward.echo(message),
      echo: {
        agreeOn: (m) => m.text,
        quorum: ({ votes, system, forward, wait }) =>
          votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
      },
      ready: {
        agreeOn: (m) => m.text,
        quorum: ({ votes, system, forward, reply, deliver, wait }) =>
          votes.agreed(system.quorum)
            ? [reply({ text: votes.value }), deliver({ text: votes.value })]
            : votes.agreed(system.oneHonest)
              ? forward.ready({ text: votes.value })
              : wait
      }
    }
  )
