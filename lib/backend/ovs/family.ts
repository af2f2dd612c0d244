/** Looks up the number of a generic netlink family by its name; rejects with NO_MODULE when the kernel has none. */
export type FamilyId = (family: { readonly name: string; readonly origin?: string }) => Promise<number>

/** Looks up the number of a multicast group of a generic netlink family, by its name; rejects with NO_MODULE when there is none. */
export type GroupId = (
  family: { readonly name: string; readonly origin?: string },
  group: string,
) => Promise<number>
