using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A layer as it is seen from outside, and the modules that it consists of, in the model's order.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Modules">Its modules, also those without tensors.</param>
/// <param name="Device">Where its tensors are.</param>
internal sealed record LiveLayer(ModelLayer Layer, ImmutableArray<Module> Modules, Device Device);
