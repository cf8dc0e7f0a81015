/** CPU and memory of one process. */
export interface Usage {
  /** User and system time since the process started. */
  readonly cpuUs: number
  readonly rssBytes: number
}

export const usageNow = (): Usage => {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system, rssBytes: process.memoryUsage.rss() }
}
