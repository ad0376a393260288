using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What a Hopper GPU's driver gets of each decode kernel. The list is the codec table's.</summary>
[Trait("Area", "Ilgpu")]
public sealed class DecodeKernelPtxTests(PtxCompiler compiler) : IClassFixture<PtxCompiler>
{
    // Their products are exact, a scale of 11 bits (of F16, times a block's scale of at most 6) times a quant of at most 5, so that the
    // sum is rounded once whether a driver fuses the two or not. Nothing else may look like it: a new type here is one to prove.
    private static readonly DType[] AddToExactProducts = [DType.Q4_1, DType.Q5_1, DType.Q2_K, DType.Q4_K, DType.Q5_K];

    [Fact]
    public void Every_kernel_loads_and_stores_wide_and_stays_in_registers()
    {
        var kernels = 0;
        var fusible = new HashSet<DType>();
        foreach (var codec in Codecs.All.Where(codec => codec.ValuesPerElement == 1))
        {
            foreach (var target in Codecs.Targets.Where(target => target != codec.DType))
            {
                foreach (var reader in new[] { DecodeKernel.ReaderFor(codec, 0), ReaderKind.Funnel }.Distinct())
                {
                    var kernel = DecodeKernel.Of(codec, target, reader);
                    var name = $"{codec.DType.Name} to {target.Name} ({reader})";
                    var ptx = compiler.Compile(kernel.Method);
                    Check(name, ptx, codec.DType, target, reader);
                    Assert.DoesNotContain(ptx.FusibleOperations, operation => operation.StartsWith("fma", StringComparison.Ordinal));
                    if (ptx.FusibleOperations.Any())
                    {
                        fusible.Add(codec.DType);
                    }

                    kernels++;
                }
            }
        }

        Assert.Equal(AddToExactProducts.Order(), fusible.Order());

        // 47 codecs of their own and 8 targets, of which all but F64 are among them; one or two readers each.
        Assert.InRange(kernels, 47 * 7, 47 * 8 * 2);
    }

    private static void Check(string name, PtxText ptx, DType stored, DType target, ReaderKind reader)
    {
        Assert.True(ptx.Operations.Any(), $"{name}: no instruction was found.");
        Assert.DoesNotContain(".local", ptx.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(ptx.Operations, operation => operation.StartsWith("call", StringComparison.Ordinal));

        // 64-bit divisions are slow, and generic addresses hide which memory is meant.
        Assert.DoesNotContain(ptx.Operations, operation => operation.StartsWith("div.", StringComparison.Ordinal));
        Assert.Empty(ptx.GenericAccesses);
        Assert.DoesNotContain(ptx.Operations, operation => operation.Contains(".ftz", StringComparison.Ordinal));
        Assert.True(!ptx.DivergentBranchesSaidUniform.Any(), $"{name}: {string.Join(", ", ptx.DivergentBranchesSaidUniform)}");

        Assert.True(ptx.GlobalLoads.All(bytes => bytes >= 4), $"{name}: loads of {string.Join(", ", ptx.GlobalLoads)} bytes");
        // Wide is 8 bytes where elements stand alone. A block is fields, scales and quants, most of them words of 4 bytes or less,
        // which is as wide as it is read; what it is decoded to is stored as wide as anything.
        var widest = reader == ReaderKind.Wide && !stored.IsBlock ? 8 : 4;
        Assert.True(ptx.GlobalLoads.Max() >= widest, $"{name}: no load of {widest} bytes");

        // Four values at once, as wide as a thread can; what is left of an output one by one.
        var four = Math.Min(16, 4 * target.BlockSize);
        Assert.Contains(four, ptx.GlobalStores);
        Assert.All(ptx.GlobalStores, bytes => Assert.True(bytes == four || (!stored.IsBlock && bytes == target.BlockSize), $"{name}: a store of {bytes} bytes"));
    }
}
