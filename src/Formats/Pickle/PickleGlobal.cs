namespace IlgpuLoader.Formats.Pickle;

/// <summary>The name of a class, function or constant. Within one pickle equal names are one instance.</summary>
/// <param name="module">The module, as the file spells it.</param>
/// <param name="name">The name in it, which may have dots.</param>
/// <param name="kind">What may be done with it.</param>
internal sealed class PickleGlobal(string module, string name, PickleGlobalKind kind)
{
    /// <summary>The module, as the file spells it.</summary>
    public string Module { get; } = module;

    /// <summary>The name in it, which may have dots.</summary>
    public string Name { get; } = name;

    /// <summary>What may be done with it.</summary>
    public PickleGlobalKind Kind { get; } = kind;

    /// <summary>Module and name, joined by a dot.</summary>
    public string FullName => field ??= $"{Module}.{Name}";
}
