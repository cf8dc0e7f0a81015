/** Links that this process dialled: how many opened, how many ended. */
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import type { ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2"
import { onTestFinished } from "vitest"

const CREATED = "http2.client.stream.created"

/** Counts from now on, until the test ends. */
export const watchLinks = (): { readonly opened: number; readonly ended: number } => {
  const counts = { opened: 0, ended: 0 }
  const created = (told: unknown): void => {
    const { stream, headers } = told as {
      readonly stream: ClientHttp2Stream
      readonly headers: OutgoingHttpHeaders
    }
    if (headers[":path"] !== "/quorate.v1.Peer/Link") return
    counts.opened++
    stream.once("close", () => counts.ended++)
  }
  subscribe(CREATED, created)
  onTestFinished(() => void unsubscribe(CREATED, created))
  return counts
}
