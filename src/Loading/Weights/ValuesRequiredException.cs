using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Loading;

/// <summary>
/// Leaves a loader that asks for values which are not there yet; who ran it brings them and runs it again. Never seen outside a load.
/// </summary>
[SuppressMessage("Design", "CA1032:Implement standard exception constructors", Justification = "It is made at two places, and caught at one.")]
[SuppressMessage("Design", "CA1064:Exceptions should be public", Justification = "Nobody outside may catch it.")]
internal sealed class ValuesRequiredException(Weight? weight = null)
    : InvalidOperationException("Values are asked for that are not read yet. A load brings them and runs the loader again; elsewhere, Weight.MaterializeAsync reads them.")
{
    /// <summary>The part of a weight whose values are asked for; null where it is the parameter's.</summary>
    public Weight? Weight { get; } = weight;
}
