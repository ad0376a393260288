using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a loader has written, and where.</summary>
/// <param name="Writes">Copies and fills in their order, with the place in a parameter that each has.</param>
/// <param name="NeedsValues">Whether it asks for values, and so has to run again when they are there.</param>
/// <param name="ShapeOf">The dimensions of the parameter of an index.</param>
internal sealed record RecordedCall(IReadOnlyList<(RecordedWrite Write, ParameterPlace Place)> Writes, bool NeedsValues, Func<int, Shape> ShapeOf);
