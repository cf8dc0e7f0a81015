/**
 * Opens many connections from several loopback addresses and holds them: `flood.ts PORT COUNT`.
 * Prints what became of them, and how many are left whenever it is asked by a line.
 */
import { connect, type Socket } from "node:net"

const [port, count] = process.argv.slice(2).map(Number) as [number, number]
const ADDRESSES = 8
/** At once: the victim's backlog is not what is tried here. */
const BATCH = 200

const open = new Set<Socket>()
let [opened, failed, lacking] = [0, 0, 0]

const one = (i: number): Promise<void> =>
  new Promise((over) => {
    const socket = connect({
      ...{ host: "127.0.0.1", port, localAddress: `127.0.9.${1 + (i % ADDRESSES)}` }
    })
    socket.once("connect", () => {
      opened++
      open.add(socket)
      over()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EMFILE" || error.code === "ENFILE") lacking++
      else failed++
      over()
    })
    socket.once("close", () => open.delete(socket))
    socket.resume()
  })

const tell = (): void => {
  process.stdout.write(`${JSON.stringify({ opened, failed, lacking, left: open.size })}\n`)
}

for (let i = 0; i < count && lacking === 0; i += BATCH) {
  await Promise.all(Array.from({ length: Math.min(BATCH, count - i) }, (_, j) => one(i + j)))
}
tell()
process.stdin.on("data", tell)
process.stdin.on("end", () => process.exit(0))
