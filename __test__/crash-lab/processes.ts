// The processes of a lab, as this machine shows them.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

function allProcesses(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}

/** The content of a file of a process that may end at any moment. */
export function read<T>(how: () => T, otherwise: T): T {
  try {
    return how()
  } catch {
    return otherwise
  }
}

const statOf = (pid: number) =>
  read(() => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1) ?? '', '')
export const commandOf = (pid: number) => read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '')
export const namespaceOf = (pid: number) => read(() => readlinkSync(`/proc/${pid}/ns/pid`), undefined)
export const childOf = (pid: number | undefined) =>
  allProcesses().find((child) => pid !== undefined && statOf(child).split(' ')[1] === String(pid))
export const processesIn = (namespace: string) =>
  allProcesses().filter((pid) => namespaceOf(pid) === namespace)

/** Whether it runs: one that has ended, and whose end its parent has not noticed, does not. */
export const runs = (pid: number) => !['Z', 'X', ''].includes(statOf(pid).split(' ')[0] ?? '')
