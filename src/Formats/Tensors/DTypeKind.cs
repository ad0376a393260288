using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats;

/// <summary>What the values of a <see cref="DType"/> are.</summary>
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "The field's own words.")]
public enum DTypeKind
{
    /// <summary>True or false.</summary>
    Boolean,
    /// <summary>Signed or unsigned integers.</summary>
    Integer,
    /// <summary>Floating point, one value an element.</summary>
    Float,
    /// <summary>Pairs of floating-point values, real part first.</summary>
    Complex,
    /// <summary>Quantised blocks: values exist only after decoding a block.</summary>
    Block,
}
