# Three targets, as the dependency rule has it: engine (pure), io (system
# calls and threads, with the XDP program as bytes), vxlnat (the addon, the
# only one that knows Node). Sources by glob, so that no list can drift.
# Without clang or libbpf everything is built but the XDP path.
{
  'variables': { 'libbpf': '<!(bpf/have-libbpf)' },
  'target_defaults': {
    'include_dirs': ['.'],
    'cflags!': ['-Wno-unused-parameter', '-O3'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags': ['-O2', '-g'],
    'cflags_cc': [
      '-std=c++20',
      '-Wall',
      '-Wextra',
      '-Wshadow',
      '-Wconversion',
      '-Wsign-conversion',
      '-Wold-style-cast',
      '-Wundef',
      '-Werror',
    ],
  },
  'targets': [
    {
      'target_name': 'engine',
      'type': 'static_library',
      'sources': ['<!@(find engine -name "*.cc" | sort)'],
      'cflags': ['-fPIC'],
    },
    {
      'target_name': 'io',
      'type': 'static_library',
      'sources': ['<!@(find io -name "*.cc" | sort)'],
      'cflags': ['-fPIC', '-pthread'],
      'dependencies': ['engine'],
      'defines': [
        'VXLNAT_LIBBPF=<(libbpf)',
        'VXLNAT_BPF_OBJECT="<(module_root_dir)/build/bpf/vxlnat.bpf.o"',
      ],
      'actions': [
        {
          'action_name': 'bpf',
          'inputs': ['bpf/build', '<!@(find bpf engine -name "*.[ch]")'],
          'outputs': ['<(module_root_dir)/build/bpf/vxlnat.bpf.o'],
          'action': ['bpf/build', '<@(_outputs)'],
        },
      ],
      'link_settings': {
        'conditions': [['libbpf==1', { 'libraries': ['-lbpf'] }]],
      },
    },
    {
      'target_name': 'vxlnat',
      'sources': ['<!@(find addon -name "*.cc" | sort)'],
      'dependencies': ['engine', 'io'],
      # The last: a terminated worker thread takes no more exceptions, and
      # that must not end the process.
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_CPP_EXCEPTIONS',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # node-addon-api is not ours to warn about.
      'cflags_cc': [
        '-isystem<!(node -p "require(\'path\').dirname(require.resolve(\'node-addon-api\'))")',
        '-fexceptions',
      ],
      'cflags_cc!': ['-fno-exceptions'],
      'ldflags': ['-pthread'],
    },
  ],
}
