using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.Cuda;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Compiles kernels to the PTX text that a Hopper GPU's driver gets; needs no GPU. One thread at a time.</summary>
public sealed class PtxCompiler : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.Optimize(OptimizationLevel.O2));
    private readonly PTXBackend _backend;

    public PtxCompiler() => _backend = new PTXBackend(_context, CudaArchitecture.SM_90, CudaInstructionSet.ISA_88, null!);

    public PtxText Compile(MethodInfo kernel)
    {
        var compiled = (PTXCompiledKernel)_backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(kernel), default);
        return new PtxText(compiled.PTXAssembly);
    }

    public void Dispose()
    {
        _backend.Dispose();
        _context.Dispose();
    }
}
