using System.Text.RegularExpressions;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting;

/// <summary>What a hosted model may be called.</summary>
internal static partial class ModelName
{
    // As long as a label of DNS or Kubernetes (63), and one more; it stands in URLs, keys of configurations and tags of metrics.
    private const int Longest = 64;

    /// <summary>Whether it is a name: dots alone are none, since URLs take them for folders.</summary>
    public static bool IsValid(string name) => name.Length <= Longest && Pattern().IsMatch(name) && name.Any(character => character != '.');

    /// <summary>Says that it is none.</summary>
    public static string Describe(string name) => $"{Quoted.Name(name)} is no name of a model; names have 1 to {Longest} letters, digits, '.', '_' and '-', and are not dots alone";

    [GeneratedRegex(@"\A[A-Za-z0-9._-]+\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
