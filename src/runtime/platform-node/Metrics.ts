/** What nodes and clients of a process count, for Prometheus to scrape. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Layer } from "effect"
import { type Family, Meters } from "../../base/families.ts"
import { MetricsFailed } from "../Errors.ts"
import { EXPOSITION_TYPE, exposition } from "../internal/exposition.ts"
import { CurrentMeters } from "../Observe.ts"
import { systemErrorText } from "./systemError.ts"

export interface PrometheusOptions {
  /** 0: any that is free, which `listening` is told. */
  readonly port: number
  /** Default: 127.0.0.1. What is served has no secrets, and no password either. */
  readonly host?: string
  /** Told once, e.g. "http://127.0.0.1:9464/metrics". */
  readonly listening?: (url: string) => void
}

/** Scrapers at once; one more is cut. */
const CONNECTIONS_MAX = 16
/** For a request's headers; nothing that is served takes long. */
const REQUEST_MS_MAX = 5_000

/**
 * Serves `GET /metrics` in Prometheus' text format until the scope ends, and has the nodes and
 * clients that are built with it count. One is enough for a process: labels tell them apart.
 */
export const layerPrometheus = (options: PrometheusOptions): Layer.Layer<never, MetricsFailed> =>
  Layer.effect(
    CurrentMeters,
    Effect.gen(function* () {
      const meters = new Meters()
      meters.add(processFamilies)
      const server = yield* Effect.acquireRelease(listen(meters, options), close)
      const { address, port, family } = server.address() as AddressInfo
      const host = family === "IPv6" ? `[${address}]` : address
      options.listening?.(`http://${host}:${port}/metrics`)
      return meters
    })
  )

const listen = (
  meters: Meters,
  { port, host = "127.0.0.1" }: PrometheusOptions
): Effect.Effect<Server, MetricsFailed> =>
  Effect.callback((resume) => {
    const options = { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX }
    const server = createServer(options, (request, response) => serve(meters, request, response))
    server.maxConnections = CONNECTIONS_MAX
    server.once("error", (error) => {
      const where = `metrics at ${host}:${port}`
      const remedy = "give another port, or stop what uses it"
      resume(Effect.fail(new MetricsFailed({ where, what: systemErrorText(error), remedy })))
    })
    server.listen(port, host, () => resume(Effect.succeed(server)))
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

const serve = (meters: Meters, request: IncomingMessage, response: ServerResponse): void => {
  const path = request.url?.split("?")[0]
  if (path !== "/metrics") return answer(response, 404, "only /metrics is here\n")
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD")
    return answer(response, 405, "GET it\n")
  }
  answer(response, 200, exposition(meters.read()), EXPOSITION_TYPE)
}

const answer = (
  response: ServerResponse,
  status: number,
  text: string,
  type = "text/plain; charset=utf-8"
): void => {
  // A HEAD gets no body: Node sees to it.
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) })
  response.end(text)
}

/** Under the names that Prometheus' own libraries use. */
const processFamilies = (): ReadonlyArray<Family> => {
  const { user, system } = process.cpuUsage()
  const gauge = (name: string, help: string, value: number): Family => ({
    ...{ name, help, type: "gauge" },
    samples: [{ labels: {}, value }]
  })
  return [
    {
      name: "process_cpu_seconds_total",
      help: "User and system CPU time spent, in seconds.",
      type: "counter",
      samples: [{ labels: {}, value: (user + system) / 1e6 }]
    },
    gauge(
      "process_resident_memory_bytes",
      "Resident memory size in bytes.",
      process.memoryUsage.rss()
    ),
    gauge(
      "process_start_time_seconds",
      "Start time of the process since 1970 in seconds.",
      Math.round(Date.now() / 1000 - process.uptime())
    )
  ]
}
