import { ReliableBroadcast } from "./gen/rb/v1/broadcast_quorate.ts"

export const Bracha = ReliableBroadcast.protocol({
  broadcast: ({ message, forward }) => forward.echo(message),
  echo: {
    agreeOn: (m) => m.text,
    quorum: ({ votes, system, forward, wait }) =>
      votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
  },
  ready: {
    agreeOn: (m) => m.text,
    quorum: ({ votes, system, forward, reply, wait }) =>
      votes.agreed(system.quorum)
        ? reply({ text: votes.value })
        : votes.agreed(system.oneHonest)
          ? forward.ready({ text: votes.value })
          : wait
  }
})
