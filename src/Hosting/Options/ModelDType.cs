using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>The dtype that a hosted model's floating tensors get, as options name it.</summary>
internal static class ModelDType
{
    /// <summary>The name that converts nothing, as the tool has it.</summary>
    public const string Keep = "keep";

    /// <summary>What <see cref="TryParse"/> takes, for messages.</summary>
    public static string Names { get; } = $"{Keep}, {string.Join(", ", Codecs.Targets.Select(target => target.Name.ToLowerInvariant()))}";

    /// <summary>Finds the dtype of a name; upper and lower case are the same.</summary>
    /// <param name="name">The name; null and <see cref="Keep"/> for none.</param>
    /// <param name="dtype">The dtype; null where each tensor stays as it is.</param>
    /// <returns>Whether it is a name of one that tensors can be converted to.</returns>
    public static bool TryParse(string? name, out DType? dtype)
    {
        dtype = null;
        if (name is null || name.Equals(Keep, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        dtype = DType.TryFromName(name.ToUpperInvariant(), out var found) && Codecs.Targets.Contains(found) ? found : null;
        return dtype is not null;
    }
}
