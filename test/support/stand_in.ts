/** Something that is another thing but for a few of its members. */
export function standIn<Target extends object>(target: Target, members: Partial<Target>): Target {
  return new Proxy(target, {
    get: (_, key) => {
      if (Object.hasOwn(members, key)) return Reflect.get(members, key);
      const value: unknown = Reflect.get(target, key, target);
      // A method finds the private fields of what it belongs to.
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
