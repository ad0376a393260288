using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Loading;

/// <summary>In what a tensor of one checkpoint differs from the tensor of the same name in another.</summary>
[Flags]
[SuppressMessage("Naming", "CA1711:Identifiers should not have incorrect suffix", Justification = "The plural of flags.")]
public enum TensorDifferences
{
    /// <summary>In nothing that was compared.</summary>
    None = 0,

    /// <summary>Only the second checkpoint has it.</summary>
    Added = 1,

    /// <summary>Only the first checkpoint has it.</summary>
    Removed = 2,

    /// <summary>The stored type.</summary>
    DType = 4,

    /// <summary>The shape; values are then not compared.</summary>
    Shape = 8,

    /// <summary>At least one value.</summary>
    Values = 16,

    /// <summary>
    /// Stored bytes although no value differs (the sign of a zero, the payload of a NaN, a BOOL of 2), or stored bytes of a
    /// type whose values cannot be decoded.
    /// </summary>
    Bytes = 32,
}
