// A process that finds one profile of AWS.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { startClient } from './clients'

interface Place {
  /** For the configuration. */
  folder: string
  /** That of S3. */
  endpoint: string
  /** More of the environment. */
  env: Record<string, string>
}

export interface Reader {
  /** Reads an index `times` times, as the profile `ci` of this configuration, and tells how it ended the last time. */
  read(config: string, times?: number): Promise<any>
  /** Reads from this many buckets at once. */
  readTogether(config: string, buckets: number): Promise<any[]>
  stop(): Promise<void>
}

/** Starts one that has no role of the machine. */
export function startReader({ folder, endpoint, env }: Place): Reader {
  const file = join(folder, 'config')
  const client = startClient(inject('addon'), {
    AWS_CONFIG_FILE: file,
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
    AWS_PROFILE: 'ci',
    AWS_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...env,
  })
  let buckets = 0
  const one = () => client.ask('fail', 'readIndex', `s3://b${buckets++}/k`, { endpoint, timeout: 5000 })
  return {
    readTogether(config, count) {
      writeFileSync(file, config)
      return Promise.all(Array.from({ length: count }, one))
    },
    async read(config, times = 1) {
      writeFileSync(file, config)
      // The configuration is read when a bucket is first used.
      const url = `s3://b${buckets++}/k`
      let seen: unknown
      for (let time = 0; time < times; time++)
        seen = await client.ask('fail', 'readIndex', url, { endpoint, timeout: 5000 })
      return seen
    },
    stop: () => client.kill(),
  }
}

/** The request for what a reader reads, the same for all its buckets. */
export const asOneBucket = (path = '') => path.replace(/^\/b\d+\//, '/b/')
