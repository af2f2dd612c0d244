/** An archive in cpio's `newc` format, which the kernel unpacks as its first root file system. */
export class Cpio {
  #parts: Buffer[] = []
  #inode = 0

  directory(path: string): void {
    this.#entry(path, 0o040755, Buffer.alloc(0))
  }

  file(path: string, content: Buffer | string, mode = 0o644): void {
    this.#entry(path, 0o100000 | mode, Buffer.from(content as string))
  }

  link(path: string, target: string): void {
    this.#entry(path, 0o120777, Buffer.from(target))
  }

  end(): Buffer {
    this.#entry('TRAILER!!!', 0, Buffer.alloc(0))
    return Buffer.concat(this.#parts)
  }

  #entry(path: string, mode: number, content: Buffer): void {
    this.#inode += 1
    const name = Buffer.from(`${path}\0`)
    // inode, mode, uid, gid, nlink, mtime, size, device (two numbers twice), name's size, checksum
    const fields = [this.#inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0]
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
    this.#parts.push(pad(Buffer.concat([Buffer.from(header), name])), pad(content))
  }
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
