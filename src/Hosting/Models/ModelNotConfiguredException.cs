using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting;

/// <summary>There is no model of a name.</summary>
public sealed class ModelNotConfiguredException : Exception
{
    internal ModelNotConfiguredException(string name, IEnumerable<string> names)
        : base(Describe(name, [.. names])) => Model = name;

    /// <summary>The name that was asked for.</summary>
    public string Model { get; }

    private static string Describe(string name, string[] names) =>
        $"There is no model {Quoted.Name(name)}; {(names.Length == 0 ? "none is configured" : $"there are {string.Join(", ", names)}")}.";
}
