using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Tests that look at what the whole process takes: no other runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "Measuring";
}
