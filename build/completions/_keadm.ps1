
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'keadm' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'keadm'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'keadm' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('backup', 'backup', [CompletionResultType]::ParameterValue, 'Copy what makes this machine a node to a safe place')
            [CompletionResult]::new('ban', 'ban', [CompletionResultType]::ParameterValue, 'Shut a node out for good, or list who is')
            [CompletionResult]::new('batch', 'batch', [CompletionResultType]::ParameterValue, 'Do the same on many machines, over ssh')
            [CompletionResult]::new('bundle', 'bundle', [CompletionResultType]::ParameterValue, 'One file with all that a machine without a network needs to become a node')
            [CompletionResult]::new('cert', 'cert', [CompletionResultType]::ParameterValue, 'The certificate of this node')
            [CompletionResult]::new('completion', 'completion', [CompletionResultType]::ParameterValue, 'Print what a shell needs to complete keadm''s command lines')
            [CompletionResult]::new('config', 'config', [CompletionResultType]::ParameterValue, 'What an installation consists of')
            [CompletionResult]::new('config-update', 'config-update', [CompletionResultType]::ParameterValue, 'Change the configuration of EdgeCore on this machine')
            [CompletionResult]::new('ctl', 'ctl', [CompletionResultType]::ParameterValue, 'Pods and devices of this node, with or without the cloud')
            [CompletionResult]::new('debug', 'debug', [CompletionResultType]::ParameterValue, 'Find out what is wrong with a node')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'A control plane, a CloudCore and an edge node with two pods, on this machine alone')
            [CompletionResult]::new('gettoken', 'gettoken', [CompletionResultType]::ParameterValue, 'Print the token that edge nodes join with')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Install the cloud side, into a cluster or on this machine')
            [CompletionResult]::new('join', 'join', [CompletionResultType]::ParameterValue, 'Make this machine an edge node')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Write the manual pages')
            [CompletionResult]::new('manifest', 'manifest', [CompletionResultType]::ParameterValue, 'Print what `init` would apply to a cluster')
            [CompletionResult]::new('mapper', 'mapper', [CompletionResultType]::ParameterValue, 'Projects for device drivers')
            [CompletionResult]::new('reset', 'reset', [CompletionResultType]::ParameterValue, 'Undo `init` or `join` on this machine')
            [CompletionResult]::new('rollback', 'rollback', [CompletionResultType]::ParameterValue, 'Go back to a back-up')
            [CompletionResult]::new('unban', 'unban', [CompletionResultType]::ParameterValue, 'Let a banned node in again')
            [CompletionResult]::new('upgrade', 'upgrade', [CompletionResultType]::ParameterValue, 'A new version on this machine, and the old one again when it does not work')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Say which version this is')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;backup' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to /etc/kubeedge/backup/VERSION')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore''s binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;backup;cloud' {
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;backup;edge' {
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;backup;help' {
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to /etc/kubeedge/backup/VERSION')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore''s binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;backup;help;cloud' {
            break
        }
        'keadm;backup;help;edge' {
            break
        }
        'keadm;backup;help;help' {
            break
        }
        'keadm;ban' {
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why: for those who find it in the list. The node is not told')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--list', '--list', [CompletionResultType]::ParameterName, 'List the nodes that are banned or were')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;batch' {
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'File that says which nodes there are and what to do with each')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'File that says which nodes there are and what to do with each')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('gen-config', 'gen-config', [CompletionResultType]::ParameterValue, 'Write ./config.yaml, to be filled in')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;batch;gen-config' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;batch;help' {
            [CompletionResult]::new('gen-config', 'gen-config', [CompletionResultType]::ParameterValue, 'Write ./config.yaml, to be filled in')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;batch;help;gen-config' {
            break
        }
        'keadm;batch;help;help' {
            break
        }
        'keadm;bundle' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('create', 'create', [CompletionResultType]::ParameterValue, 'Make one')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Look one through, and list what is in it')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;bundle;create' {
            [CompletionResult]::new('--binaries', '--binaries', [CompletionResultType]::ParameterName, 'Folder with `edgecore` and `keadm`, for the machines that the bundle is for')
            [CompletionResult]::new('--image', '--image', [CompletionResultType]::ParameterName, 'Archive of images, as `docker save` or an OCI layout. May be given again; of those called `pause` the first is for sandboxes')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Version of the binaries; without it, that of this keadm')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where the bundle is written to')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where the bundle is written to')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;bundle;show' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;bundle;help' {
            [CompletionResult]::new('create', 'create', [CompletionResultType]::ParameterValue, 'Make one')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Look one through, and list what is in it')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;bundle;help;create' {
            break
        }
        'keadm;bundle;help;show' {
            break
        }
        'keadm;bundle;help;help' {
            break
        }
        'keadm;cert' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('renew', 'renew', [CompletionResultType]::ParameterValue, 'Get this node a new certificate, because the one that it has is no good any more')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;cert;renew' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes')
            [CompletionResult]::new('--token', '--token', [CompletionResultType]::ParameterName, 'Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Also when the certificate is still good, or the cloud has another CA now: the old files are kept beside the new')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;cert;help' {
            [CompletionResult]::new('renew', 'renew', [CompletionResultType]::ParameterValue, 'Get this node a new certificate, because the one that it has is no good any more')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;cert;help;renew' {
            break
        }
        'keadm;cert;help;help' {
            break
        }
        'keadm;completion' {
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;config' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('images', 'images', [CompletionResultType]::ParameterValue, 'The images that an installation uses')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;config;images' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List them')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Have the container runtime of this machine pull them')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;config;images;list' {
            [CompletionResult]::new('--part', '--part', [CompletionResultType]::ParameterName, 'Of which side; without it, of both')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'Where our images are; those of others stay where they are')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Their version; without it, that of this keadm')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;config;images;pull' {
            [CompletionResult]::new('--part', '--part', [CompletionResultType]::ParameterName, 'Of which side; without it, of both')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'Where our images are; those of others stay where they are')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Their version; without it, that of this keadm')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Socket of the container runtime')
            [CompletionResult]::new('--remote-runtime-endpoint', '--remote-runtime-endpoint', [CompletionResultType]::ParameterName, 'Socket of the container runtime')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;config;images;help' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List them')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Have the container runtime of this machine pull them')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;config;images;help;list' {
            break
        }
        'keadm;config;images;help;pull' {
            break
        }
        'keadm;config;images;help;help' {
            break
        }
        'keadm;config;help' {
            [CompletionResult]::new('images', 'images', [CompletionResultType]::ParameterValue, 'The images that an installation uses')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;config;help;images' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List them')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Have the container runtime of this machine pull them')
            break
        }
        'keadm;config;help;images;list' {
            break
        }
        'keadm;config;help;images;pull' {
            break
        }
        'keadm;config;help;help' {
            break
        }
        'keadm;config-update' {
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Change the configuration: path=value[,path=value...] with the keys of edgecore.yaml')
            [CompletionResult]::new('--set-string', '--set-string', [CompletionResultType]::ParameterName, 'As --set, and every value is a string')
            [CompletionResult]::new('--set-file', '--set-file', [CompletionResultType]::ParameterName, 'As --set, and every value is the text of the file that it names')
            [CompletionResult]::new('--set-json', '--set-json', [CompletionResultType]::ParameterName, 'As --set, and every value is JSON; or one JSON object, which is merged')
            [CompletionResult]::new('--set-literal', '--set-literal', [CompletionResultType]::ParameterName, 'One path, and everything after `=` as it stands')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Files of values, below every --set')
            [CompletionResult]::new('--values', '--values', [CompletionResultType]::ParameterName, 'Files of values, below every --set')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--no-restart', '--no-restart', [CompletionResultType]::ParameterName, 'Write the file and leave EdgeCore as it is; it takes the new values when it starts')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('confirm', 'confirm', [CompletionResultType]::ParameterValue, 'Agree to an upgrade that waits for it')
            [CompletionResult]::new('describe', 'describe', [CompletionResultType]::ParameterValue, 'Say everything about pods or devices')
            [CompletionResult]::new('edit', 'edit', [CompletionResultType]::ParameterValue, 'Change a device: not here yet, it needs the API at the edge')
            [CompletionResult]::new('exec', 'exec', [CompletionResultType]::ParameterValue, 'Run a command in a container')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'List pods or devices')
            [CompletionResult]::new('logs', 'logs', [CompletionResultType]::ParameterValue, 'Print what a container has written')
            [CompletionResult]::new('restart', 'restart', [CompletionResultType]::ParameterValue, 'Stop the containers of pods, which are then started anew')
            [CompletionResult]::new('unhold-upgrade', 'unhold-upgrade', [CompletionResultType]::ParameterValue, 'Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;ctl;confirm' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;describe' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas')
            [CompletionResult]::new('--selector', '--selector', [CompletionResultType]::ParameterName, 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas')
            [CompletionResult]::new('--show-events', '--show-events', [CompletionResultType]::ParameterName, 'Show events: they are in the cloud, `kubectl describe` shows them')
            [CompletionResult]::new('--chunk-size', '--chunk-size', [CompletionResultType]::ParameterName, 'Size of the pieces of a list: everything is on this machine, there are none')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('-A', '-A ', [CompletionResultType]::ParameterName, 'Those of every namespace')
            [CompletionResult]::new('--all-namespaces', '--all-namespaces', [CompletionResultType]::ParameterName, 'Those of every namespace')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;edit' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;exec' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container')
            [CompletionResult]::new('--container', '--container', [CompletionResultType]::ParameterName, 'The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Pass on what comes on stdin')
            [CompletionResult]::new('--stdin', '--stdin', [CompletionResultType]::ParameterName, 'Pass on what comes on stdin')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Give the command a terminal')
            [CompletionResult]::new('--tty', '--tty', [CompletionResultType]::ParameterName, 'Give the command a terminal')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;get' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas')
            [CompletionResult]::new('--selector', '--selector', [CompletionResultType]::ParameterName, 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the list is printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the list is printed')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('-A', '-A ', [CompletionResultType]::ParameterName, 'Those of every namespace')
            [CompletionResult]::new('--all-namespaces', '--all-namespaces', [CompletionResultType]::ParameterName, 'Those of every namespace')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;logs' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container')
            [CompletionResult]::new('--container', '--container', [CompletionResultType]::ParameterName, 'The container; without it, the only one or that of the annotation kubectl.kubernetes.io/default-container')
            [CompletionResult]::new('--since-second', '--since-second', [CompletionResultType]::ParameterName, 'Only what is newer than this many seconds; 0: everything')
            [CompletionResult]::new('--since-time', '--since-time', [CompletionResultType]::ParameterName, 'Only what is newer than this time (RFC 3339)')
            [CompletionResult]::new('--tail', '--tail', [CompletionResultType]::ParameterName, 'Only the last lines; -1: all')
            [CompletionResult]::new('--limit-bytes', '--limit-bytes', [CompletionResultType]::ParameterName, 'Only so many bytes; -1: all')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Go on with what is written from now on')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Go on with what is written from now on')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The log of the container before this one')
            [CompletionResult]::new('--previous', '--previous', [CompletionResultType]::ParameterName, 'The log of the container before this one')
            [CompletionResult]::new('--timestamps', '--timestamps', [CompletionResultType]::ParameterName, 'Begin each line with its time')
            [CompletionResult]::new('--insecure-skip-tls-verify-backend', '--insecure-skip-tls-verify-backend', [CompletionResultType]::ParameterName, 'Do not verify the certificate of the server: it is a local one without a certificate')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;restart' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;unhold-upgrade' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Namespace of the pod')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Namespace of the pod')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;ctl;help' {
            [CompletionResult]::new('confirm', 'confirm', [CompletionResultType]::ParameterValue, 'Agree to an upgrade that waits for it')
            [CompletionResult]::new('describe', 'describe', [CompletionResultType]::ParameterValue, 'Say everything about pods or devices')
            [CompletionResult]::new('edit', 'edit', [CompletionResultType]::ParameterValue, 'Change a device: not here yet, it needs the API at the edge')
            [CompletionResult]::new('exec', 'exec', [CompletionResultType]::ParameterValue, 'Run a command in a container')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'List pods or devices')
            [CompletionResult]::new('logs', 'logs', [CompletionResultType]::ParameterValue, 'Print what a container has written')
            [CompletionResult]::new('restart', 'restart', [CompletionResultType]::ParameterValue, 'Stop the containers of pods, which are then started anew')
            [CompletionResult]::new('unhold-upgrade', 'unhold-upgrade', [CompletionResultType]::ParameterValue, 'Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;ctl;help;confirm' {
            break
        }
        'keadm;ctl;help;describe' {
            break
        }
        'keadm;ctl;help;edit' {
            break
        }
        'keadm;ctl;help;exec' {
            break
        }
        'keadm;ctl;help;get' {
            break
        }
        'keadm;ctl;help;logs' {
            break
        }
        'keadm;ctl;help;restart' {
            break
        }
        'keadm;ctl;help;unhold-upgrade' {
            break
        }
        'keadm;ctl;help;help' {
            break
        }
        'keadm;debug' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say whether this machine has what an edge node needs')
            [CompletionResult]::new('collect', 'collect', [CompletionResultType]::ParameterValue, 'Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens')
            [CompletionResult]::new('diagnose', 'diagnose', [CompletionResultType]::ParameterValue, 'Say why a node, a pod or an installation does not work')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'List what is in the node''s store, whether EdgeCore runs or not')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;debug;check' {
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Name that is looked up; without it, the host of the cloud where it has a name')
            [CompletionResult]::new('--domain', '--domain', [CompletionResultType]::ParameterName, 'Name that is looked up; without it, the host of the cloud where it has a name')
            [CompletionResult]::new('-D', '-D ', [CompletionResultType]::ParameterName, 'DNS server that is asked; without it, the machine''s own way')
            [CompletionResult]::new('--dns-ip', '--dns-ip', [CompletionResultType]::ParameterName, 'DNS server that is asked; without it, the machine''s own way')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Address that must answer a connection, with a port (host:port) or to port 80; stock sends a ping')
            [CompletionResult]::new('--ip', '--ip', [CompletionResultType]::ParameterName, 'Address that must answer a connection, with a port (host:port) or to port 80; stock sends a ping')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Where the cloud gives out certificates; without it, what the configuration says')
            [CompletionResult]::new('--cloud-hub-server', '--cloud-hub-server', [CompletionResultType]::ParameterName, 'Where the cloud gives out certificates; without it, what the configuration says')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;collect' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Folder that the file is written to')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Folder that the file is written to')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Folder with the logs')
            [CompletionResult]::new('--log-path', '--log-path', [CompletionResultType]::ParameterName, 'Folder with the logs')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Say more: everything that is collected is said anyway')
            [CompletionResult]::new('--detail', '--detail', [CompletionResultType]::ParameterName, 'Say more: everything that is collected is said anyway')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;diagnose' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'This node')
            [CompletionResult]::new('pod', 'pod', [CompletionResultType]::ParameterValue, 'A pod of this node')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Whether this machine can become a node: as `debug check all`')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;debug;diagnose;node' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;diagnose;pod' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Its namespace')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;diagnose;install' {
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Name that is looked up')
            [CompletionResult]::new('--domain', '--domain', [CompletionResultType]::ParameterName, 'Name that is looked up')
            [CompletionResult]::new('-D', '-D ', [CompletionResultType]::ParameterName, 'DNS server that is asked')
            [CompletionResult]::new('--dns-ip', '--dns-ip', [CompletionResultType]::ParameterName, 'DNS server that is asked')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Address that must answer a connection')
            [CompletionResult]::new('--ip', '--ip', [CompletionResultType]::ParameterName, 'Address that must answer a connection')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Where the cloud gives out certificates')
            [CompletionResult]::new('--cloud-hub-server', '--cloud-hub-server', [CompletionResultType]::ParameterName, 'Where the cloud gives out certificates')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;diagnose;help' {
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'This node')
            [CompletionResult]::new('pod', 'pod', [CompletionResultType]::ParameterValue, 'A pod of this node')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Whether this machine can become a node: as `debug check all`')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;debug;diagnose;help;node' {
            break
        }
        'keadm;debug;diagnose;help;pod' {
            break
        }
        'keadm;debug;diagnose;help;install' {
            break
        }
        'keadm;debug;diagnose;help;help' {
            break
        }
        'keadm;debug;get' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('--namespace', '--namespace', [CompletionResultType]::ParameterName, 'Their namespace')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas')
            [CompletionResult]::new('--selector', '--selector', [CompletionResultType]::ParameterName, 'Those with these labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key; joined by commas')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How the list is printed. Values of secrets are not shown')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How the list is printed. Values of secrets are not shown')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The node''s store')
            [CompletionResult]::new('--edgedb-path', '--edgedb-path', [CompletionResultType]::ParameterName, 'The node''s store')
            [CompletionResult]::new('-A', '-A ', [CompletionResultType]::ParameterName, 'Those of every namespace')
            [CompletionResult]::new('--all-namespaces', '--all-namespaces', [CompletionResultType]::ParameterName, 'Those of every namespace')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;debug;help' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say whether this machine has what an edge node needs')
            [CompletionResult]::new('collect', 'collect', [CompletionResultType]::ParameterValue, 'Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens')
            [CompletionResult]::new('diagnose', 'diagnose', [CompletionResultType]::ParameterValue, 'Say why a node, a pod or an installation does not work')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'List what is in the node''s store, whether EdgeCore runs or not')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;debug;help;check' {
            break
        }
        'keadm;debug;help;collect' {
            break
        }
        'keadm;debug;help;diagnose' {
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'This node')
            [CompletionResult]::new('pod', 'pod', [CompletionResultType]::ParameterValue, 'A pod of this node')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Whether this machine can become a node: as `debug check all`')
            break
        }
        'keadm;debug;help;diagnose;node' {
            break
        }
        'keadm;debug;help;diagnose;pod' {
            break
        }
        'keadm;debug;help;diagnose;install' {
            break
        }
        'keadm;debug;help;get' {
            break
        }
        'keadm;debug;help;help' {
            break
        }
        'keadm;demo' {
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Folder that holds everything of the demo')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Start it, or what is missing of it')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'Remove every trace of it')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Say what of it is running')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;demo;up' {
            [CompletionResult]::new('--bin-dir', '--bin-dir', [CompletionResultType]::ParameterName, 'Folder with the `cloudcore`, `edgecore` and `virtual-mapper` binaries; without it, the folder of this keadm')
            [CompletionResult]::new('--app', '--app', [CompletionResultType]::ParameterName, 'The statically linked `demo-app`, of which the images are made')
            [CompletionResult]::new('--port-offset', '--port-offset', [CompletionResultType]::ParameterName, 'Shift every port by this much, for a second demo or when a port is taken')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Use this cluster in place of the embedded control plane')
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Folder that holds everything of the demo')
            [CompletionResult]::new('--no-pods', '--no-pods', [CompletionResultType]::ParameterName, 'Start everything but no pods, no mapper and no device')
            [CompletionResult]::new('--edge-only', '--edge-only', [CompletionResultType]::ParameterName, 'Start the edge side alone, to see what a node does while it cannot reach the cloud')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;demo;down' {
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Folder that holds everything of the demo')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;demo;status' {
            [CompletionResult]::new('--state', '--state', [CompletionResultType]::ParameterName, 'Folder that holds everything of the demo')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;demo;help' {
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Start it, or what is missing of it')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'Remove every trace of it')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Say what of it is running')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;demo;help;up' {
            break
        }
        'keadm;demo;help;down' {
            break
        }
        'keadm;demo;help;status' {
            break
        }
        'keadm;demo;help;help' {
            break
        }
        'keadm;gettoken' {
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;init' {
            [CompletionResult]::new('--advertise-address', '--advertise-address', [CompletionResultType]::ParameterName, 'Addresses under which edge nodes reach CloudCore. With --embedded: found out from the machine')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Change a value of the Helm chart, or with --embedded a key of cloudcore.yaml: path=value[,path=value...]')
            [CompletionResult]::new('--bin-dir', '--bin-dir', [CompletionResultType]::ParameterName, 'Folder with the `cloudcore` binary, with --embedded; without it, the folder of this keadm')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster. Without it: /root/.kube/config')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Version of the image; without it, that of this keadm')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'Where the image is, in place of the registry and folder of the chart')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'File of values, over the chart''s; or version=VERSION')
            [CompletionResult]::new('--values', '--values', [CompletionResultType]::ParameterName, 'Files of values, over those of the profile')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--manifests', '--manifests', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--files', '--files', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--external-helm-root', '--external-helm-root', [CompletionResultType]::ParameterName, 'Folder of another chart. Not taken: keadm renders its own')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--embedded', '--embedded', [CompletionResultType]::ParameterName, 'Run a Kubernetes control plane inside CloudCore on this machine: no cluster is needed')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take over fields that somebody else has set. With --embedded: stop a CloudCore that is running, and start it anew')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--skip-preflight-checks', '--skip-preflight-checks', [CompletionResultType]::ParameterName, 'Do not look whether the cluster is fit for it')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;join' {
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Where CloudCore takes the channels of edge nodes')
            [CompletionResult]::new('--cloudcore-ipport', '--cloudcore-ipport', [CompletionResultType]::ParameterName, 'Where CloudCore takes the channels of edge nodes')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Name of the node; without it, the name of this machine')
            [CompletionResult]::new('--edgenode-name', '--edgenode-name', [CompletionResultType]::ParameterName, 'Name of the node; without it, the name of this machine')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes')
            [CompletionResult]::new('--token', '--token', [CompletionResultType]::ParameterName, 'Join token, from `keadm gettoken` on the cloud side. The variable keeps it out of lists of processes')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Port on which CloudCore gives out certificates')
            [CompletionResult]::new('--certport', '--certport', [CompletionResultType]::ParameterName, 'Port on which CloudCore gives out certificates')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Socket of the container runtime')
            [CompletionResult]::new('--remote-runtime-endpoint', '--remote-runtime-endpoint', [CompletionResultType]::ParameterName, 'Socket of the container runtime')
            [CompletionResult]::new('--cgroupdriver', '--cgroupdriver', [CompletionResultType]::ParameterName, 'Who makes the control groups of pods: must be what the container runtime has. Without it, what the runtime says')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Labels that the node registers with')
            [CompletionResult]::new('--labels', '--labels', [CompletionResultType]::ParameterName, 'Labels that the node registers with')
            [CompletionResult]::new('--hub-protocol', '--hub-protocol', [CompletionResultType]::ParameterName, 'How the node talks to CloudCore')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Change the configuration: path=value[,path=value...] with the keys of edgecore.yaml. May be given again')
            [CompletionResult]::new('--set-string', '--set-string', [CompletionResultType]::ParameterName, 'As --set, and every value is a string')
            [CompletionResult]::new('--set-file', '--set-file', [CompletionResultType]::ParameterName, 'As --set, and every value is the text of the file that it names')
            [CompletionResult]::new('--set-json', '--set-json', [CompletionResultType]::ParameterName, 'As --set, and every value is JSON; or one JSON object, which is merged')
            [CompletionResult]::new('--set-literal', '--set-literal', [CompletionResultType]::ParameterName, 'One path, and everything after `=` as it stands')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Files of values, below every --set; later ones over earlier ones')
            [CompletionResult]::new('--values', '--values', [CompletionResultType]::ParameterName, 'Files of values, below every --set; later ones over earlier ones')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--bin-dir', '--bin-dir', [CompletionResultType]::ParameterName, 'Folder with the `edgecore` binary; without it, the folder of this keadm')
            [CompletionResult]::new('--bundle', '--bundle', [CompletionResultType]::ParameterName, 'File with the binaries and images (`keadm bundle`): nothing else is needed but the cloud. The binaries go to /usr/local/bin, images that the container runtime lacks are imported')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Version to install: it is that of the binary in --bin-dir or --bundle')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'Where images are pulled from: none is')
            [CompletionResult]::new('--certPath', '--certPath', [CompletionResultType]::ParameterName, 'Folder of the certificates: `--set modules.edgeHub.tlsCertFile=` says where they are')
            [CompletionResult]::new('--tarballpath', '--tarballpath', [CompletionResultType]::ParameterName, 'Folder for what is downloaded: nothing is')
            [CompletionResult]::new('--with-mqtt', '--with-mqtt', [CompletionResultType]::ParameterName, 'Install an MQTT broker: EdgeCore has one, with `--set modules.eventBus.mqttMode=0`')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing. The cloud is not asked')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing. The cloud is not asked')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;man' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;manifest' {
            [CompletionResult]::new('--advertise-address', '--advertise-address', [CompletionResultType]::ParameterName, 'Addresses under which edge nodes reach CloudCore')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Change a value of the Helm chart: path=value[,path=value...]')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Taken as in KubeEdge and without effect: no cluster is asked')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Version of the image; without it, that of this keadm')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'Where the image is, in place of the registry and folder of the chart')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'File of values, over the chart''s; or version=VERSION')
            [CompletionResult]::new('--values', '--values', [CompletionResultType]::ParameterName, 'Files of values, over those of the profile')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--manifests', '--manifests', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--files', '--files', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--external-helm-root', '--external-helm-root', [CompletionResultType]::ParameterName, 'Folder of another chart. Not taken: keadm renders its own')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--skip-crds', '--skip-crds', [CompletionResultType]::ParameterName, 'Leave out the definitions of custom resources')
            [CompletionResult]::new('--skip-preflight-checks', '--skip-preflight-checks', [CompletionResultType]::ParameterName, 'Taken as in KubeEdge and without effect: no cluster is asked')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Taken as in KubeEdge and without effect: nothing is changed anyway')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Taken as in KubeEdge and without effect: nothing is changed anyway')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;mapper' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('new', 'new', [CompletionResultType]::ParameterValue, 'Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;mapper;new' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Folder to write it to; NAME-mapper without it')
            [CompletionResult]::new('--framework', '--framework', [CompletionResultType]::ParameterName, 'Folder of mapper-framework in a checkout, to build with in place of the repository')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'keadm;mapper;help' {
            [CompletionResult]::new('new', 'new', [CompletionResultType]::ParameterValue, 'Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;mapper;help;new' {
            break
        }
        'keadm;mapper;help;help' {
            break
        }
        'keadm;reset' {
            [CompletionResult]::new('--remote-runtime-endpoint', '--remote-runtime-endpoint', [CompletionResultType]::ParameterName, 'Socket of the container runtime. Without it: the one in edgecore.yaml')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster that CloudCore was installed into. Without it: /root/.kube/config, unless CloudCore is on this machine')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Do not ask')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;rollback' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore: on this machine to a back-up, in a cluster to what was installed before')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore on this machine, to a back-up')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;rollback;cloud' {
            [CompletionResult]::new('--historical-version', '--historical-version', [CompletionResultType]::ParameterName, 'The back-up to go back to, on this machine; without it, the newest')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster. Without it: the CloudCore of this machine, else /root/.kube/config')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--database', '--database', [CompletionResultType]::ParameterName, 'Put the database of the back-up back, too: what the control plane has learnt since is kept beside the back-up, and gone from the API')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;rollback;edge' {
            [CompletionResult]::new('--historical-version', '--historical-version', [CompletionResultType]::ParameterName, 'The back-up to go back to; without it, the newest')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;rollback;help' {
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore: on this machine to a back-up, in a cluster to what was installed before')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore on this machine, to a back-up')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;rollback;help;cloud' {
            break
        }
        'keadm;rollback;help;edge' {
            break
        }
        'keadm;rollback;help;help' {
            break
        }
        'keadm;unban' {
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster. Without it: /root/.kube/config, else that of the embedded control plane')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--trust-certificates', '--trust-certificates', [CompletionResultType]::ParameterName, 'Let it in with the certificate that it has, because it was banned by mistake. Without this it has to join anew')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;upgrade' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore, in a cluster or on this machine')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;upgrade;cloud' {
            [CompletionResult]::new('--bin-dir', '--bin-dir', [CompletionResultType]::ParameterName, 'Folder with the new `cloudcore` binary, for a CloudCore on this machine; without it, the folder of this keadm')
            [CompletionResult]::new('--advertise-address', '--advertise-address', [CompletionResultType]::ParameterName, 'Addresses under which edge nodes reach CloudCore')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'Change a value of the Helm chart: path=value[,path=value...]')
            [CompletionResult]::new('--kube-config', '--kube-config', [CompletionResultType]::ParameterName, 'Kubeconfig of the cluster. Without it: the CloudCore of this machine, else /root/.kube/config')
            [CompletionResult]::new('--kubeedge-version', '--kubeedge-version', [CompletionResultType]::ParameterName, 'Version of the image; without it, that of this keadm')
            [CompletionResult]::new('--image-repository', '--image-repository', [CompletionResultType]::ParameterName, 'Where the image is, in place of the registry and folder of the chart')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'File of values, over the chart''s; or version=VERSION')
            [CompletionResult]::new('--values', '--values', [CompletionResultType]::ParameterName, 'Files of values, over those of the profile')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--manifests', '--manifests', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--files', '--files', [CompletionResultType]::ParameterName, 'Files of further objects to apply')
            [CompletionResult]::new('--external-helm-root', '--external-helm-root', [CompletionResultType]::ParameterName, 'Folder of another chart. Not taken: keadm renders its own')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Do not ask, and also when the version is the same. In a cluster: take over fields that somebody else has set')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--print-final-values', '--print-final-values', [CompletionResultType]::ParameterName, 'Print the values that the new version is installed with')
            [CompletionResult]::new('--reuse-values', '--reuse-values', [CompletionResultType]::ParameterName, 'Keep the values of the last time: they are kept in any case')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;upgrade;edge' {
            [CompletionResult]::new('--bin-dir', '--bin-dir', [CompletionResultType]::ParameterName, 'Folder with the new `edgecore` binary; without it, the folder of this keadm')
            [CompletionResult]::new('--bundle', '--bundle', [CompletionResultType]::ParameterName, 'File with the new binary (`keadm bundle`)')
            [CompletionResult]::new('--toVersion', '--toVersion', [CompletionResultType]::ParameterName, 'The version that the new binary must have; without it, whichever it has')
            [CompletionResult]::new('--pre-run', '--pre-run', [CompletionResultType]::ParameterName, 'Script that is run first')
            [CompletionResult]::new('--post-run', '--post-run', [CompletionResultType]::ParameterName, 'Script that is run last')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'EdgeCore''s configuration file')
            [CompletionResult]::new('--image', '--image', [CompletionResultType]::ParameterName, 'Image with the new version: nothing is pulled')
            [CompletionResult]::new('--image-digest', '--image-digest', [CompletionResultType]::ParameterName, 'Digest of that image')
            [CompletionResult]::new('--upgradeID', '--upgradeID', [CompletionResultType]::ParameterName, 'Id of the task (stock before 1.21); it keeps keadm from asking')
            [CompletionResult]::new('--historyID', '--historyID', [CompletionResultType]::ParameterName, 'Id of the task''s history')
            [CompletionResult]::new('--fromVersion', '--fromVersion', [CompletionResultType]::ParameterName, 'The version before: it is found out')
            [CompletionResult]::new('--type', '--type', [CompletionResultType]::ParameterName, 'Kind of the task')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Do not ask, and also when the version is the same')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--disable-backup', '--disable-backup', [CompletionResultType]::ParameterName, 'Make no back-up: there is always one, or there would be no way back')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;upgrade;help' {
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore, in a cluster or on this machine')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;upgrade;help;cloud' {
            break
        }
        'keadm;upgrade;help;edge' {
            break
        }
        'keadm;upgrade;help;help' {
            break
        }
        'keadm;version' {
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How it is said what was done or found')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Accepted: this command changes nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'keadm;help' {
            [CompletionResult]::new('backup', 'backup', [CompletionResultType]::ParameterValue, 'Copy what makes this machine a node to a safe place')
            [CompletionResult]::new('ban', 'ban', [CompletionResultType]::ParameterValue, 'Shut a node out for good, or list who is')
            [CompletionResult]::new('batch', 'batch', [CompletionResultType]::ParameterValue, 'Do the same on many machines, over ssh')
            [CompletionResult]::new('bundle', 'bundle', [CompletionResultType]::ParameterValue, 'One file with all that a machine without a network needs to become a node')
            [CompletionResult]::new('cert', 'cert', [CompletionResultType]::ParameterValue, 'The certificate of this node')
            [CompletionResult]::new('completion', 'completion', [CompletionResultType]::ParameterValue, 'Print what a shell needs to complete keadm''s command lines')
            [CompletionResult]::new('config', 'config', [CompletionResultType]::ParameterValue, 'What an installation consists of')
            [CompletionResult]::new('config-update', 'config-update', [CompletionResultType]::ParameterValue, 'Change the configuration of EdgeCore on this machine')
            [CompletionResult]::new('ctl', 'ctl', [CompletionResultType]::ParameterValue, 'Pods and devices of this node, with or without the cloud')
            [CompletionResult]::new('debug', 'debug', [CompletionResultType]::ParameterValue, 'Find out what is wrong with a node')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'A control plane, a CloudCore and an edge node with two pods, on this machine alone')
            [CompletionResult]::new('gettoken', 'gettoken', [CompletionResultType]::ParameterValue, 'Print the token that edge nodes join with')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Install the cloud side, into a cluster or on this machine')
            [CompletionResult]::new('join', 'join', [CompletionResultType]::ParameterValue, 'Make this machine an edge node')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Write the manual pages')
            [CompletionResult]::new('manifest', 'manifest', [CompletionResultType]::ParameterValue, 'Print what `init` would apply to a cluster')
            [CompletionResult]::new('mapper', 'mapper', [CompletionResultType]::ParameterValue, 'Projects for device drivers')
            [CompletionResult]::new('reset', 'reset', [CompletionResultType]::ParameterValue, 'Undo `init` or `join` on this machine')
            [CompletionResult]::new('rollback', 'rollback', [CompletionResultType]::ParameterValue, 'Go back to a back-up')
            [CompletionResult]::new('unban', 'unban', [CompletionResultType]::ParameterValue, 'Let a banned node in again')
            [CompletionResult]::new('upgrade', 'upgrade', [CompletionResultType]::ParameterValue, 'A new version on this machine, and the old one again when it does not work')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Say which version this is')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'keadm;help;backup' {
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore on this machine: binary, configuration, certificates and the database of its control plane, to /etc/kubeedge/backup/VERSION')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore''s binary, configuration, certificates and store, to /etc/kubeedge/backup/VERSION')
            break
        }
        'keadm;help;backup;cloud' {
            break
        }
        'keadm;help;backup;edge' {
            break
        }
        'keadm;help;ban' {
            break
        }
        'keadm;help;batch' {
            [CompletionResult]::new('gen-config', 'gen-config', [CompletionResultType]::ParameterValue, 'Write ./config.yaml, to be filled in')
            break
        }
        'keadm;help;batch;gen-config' {
            break
        }
        'keadm;help;bundle' {
            [CompletionResult]::new('create', 'create', [CompletionResultType]::ParameterValue, 'Make one')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Look one through, and list what is in it')
            break
        }
        'keadm;help;bundle;create' {
            break
        }
        'keadm;help;bundle;show' {
            break
        }
        'keadm;help;cert' {
            [CompletionResult]::new('renew', 'renew', [CompletionResultType]::ParameterValue, 'Get this node a new certificate, because the one that it has is no good any more')
            break
        }
        'keadm;help;cert;renew' {
            break
        }
        'keadm;help;completion' {
            break
        }
        'keadm;help;config' {
            [CompletionResult]::new('images', 'images', [CompletionResultType]::ParameterValue, 'The images that an installation uses')
            break
        }
        'keadm;help;config;images' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List them')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Have the container runtime of this machine pull them')
            break
        }
        'keadm;help;config;images;list' {
            break
        }
        'keadm;help;config;images;pull' {
            break
        }
        'keadm;help;config-update' {
            break
        }
        'keadm;help;ctl' {
            [CompletionResult]::new('confirm', 'confirm', [CompletionResultType]::ParameterValue, 'Agree to an upgrade that waits for it')
            [CompletionResult]::new('describe', 'describe', [CompletionResultType]::ParameterValue, 'Say everything about pods or devices')
            [CompletionResult]::new('edit', 'edit', [CompletionResultType]::ParameterValue, 'Change a device: not here yet, it needs the API at the edge')
            [CompletionResult]::new('exec', 'exec', [CompletionResultType]::ParameterValue, 'Run a command in a container')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'List pods or devices')
            [CompletionResult]::new('logs', 'logs', [CompletionResultType]::ParameterValue, 'Print what a container has written')
            [CompletionResult]::new('restart', 'restart', [CompletionResultType]::ParameterValue, 'Stop the containers of pods, which are then started anew')
            [CompletionResult]::new('unhold-upgrade', 'unhold-upgrade', [CompletionResultType]::ParameterValue, 'Let pods go that are held by the annotation edge.kubeedge.io/hold-upgrade')
            break
        }
        'keadm;help;ctl;confirm' {
            break
        }
        'keadm;help;ctl;describe' {
            break
        }
        'keadm;help;ctl;edit' {
            break
        }
        'keadm;help;ctl;exec' {
            break
        }
        'keadm;help;ctl;get' {
            break
        }
        'keadm;help;ctl;logs' {
            break
        }
        'keadm;help;ctl;restart' {
            break
        }
        'keadm;help;ctl;unhold-upgrade' {
            break
        }
        'keadm;help;debug' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say whether this machine has what an edge node needs')
            [CompletionResult]::new('collect', 'collect', [CompletionResultType]::ParameterValue, 'Collect what somebody needs who looks into a problem, as one file. It holds no keys and no tokens')
            [CompletionResult]::new('diagnose', 'diagnose', [CompletionResultType]::ParameterValue, 'Say why a node, a pod or an installation does not work')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'List what is in the node''s store, whether EdgeCore runs or not')
            break
        }
        'keadm;help;debug;check' {
            break
        }
        'keadm;help;debug;collect' {
            break
        }
        'keadm;help;debug;diagnose' {
            [CompletionResult]::new('node', 'node', [CompletionResultType]::ParameterValue, 'This node')
            [CompletionResult]::new('pod', 'pod', [CompletionResultType]::ParameterValue, 'A pod of this node')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Whether this machine can become a node: as `debug check all`')
            break
        }
        'keadm;help;debug;diagnose;node' {
            break
        }
        'keadm;help;debug;diagnose;pod' {
            break
        }
        'keadm;help;debug;diagnose;install' {
            break
        }
        'keadm;help;debug;get' {
            break
        }
        'keadm;help;demo' {
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Start it, or what is missing of it')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'Remove every trace of it')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Say what of it is running')
            break
        }
        'keadm;help;demo;up' {
            break
        }
        'keadm;help;demo;down' {
            break
        }
        'keadm;help;demo;status' {
            break
        }
        'keadm;help;gettoken' {
            break
        }
        'keadm;help;init' {
            break
        }
        'keadm;help;join' {
            break
        }
        'keadm;help;man' {
            break
        }
        'keadm;help;manifest' {
            break
        }
        'keadm;help;mapper' {
            [CompletionResult]::new('new', 'new', [CompletionResultType]::ParameterValue, 'Write the project of a new mapper: it builds, passes its test, and runs without EdgeCore at once')
            break
        }
        'keadm;help;mapper;new' {
            break
        }
        'keadm;help;reset' {
            break
        }
        'keadm;help;rollback' {
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore: on this machine to a back-up, in a cluster to what was installed before')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore on this machine, to a back-up')
            break
        }
        'keadm;help;rollback;cloud' {
            break
        }
        'keadm;help;rollback;edge' {
            break
        }
        'keadm;help;unban' {
            break
        }
        'keadm;help;upgrade' {
            [CompletionResult]::new('cloud', 'cloud', [CompletionResultType]::ParameterValue, 'CloudCore, in a cluster or on this machine')
            [CompletionResult]::new('edge', 'edge', [CompletionResultType]::ParameterValue, 'EdgeCore on this machine: back-up, new binary, health check; the old one again when it fails')
            break
        }
        'keadm;help;upgrade;cloud' {
            break
        }
        'keadm;help;upgrade;edge' {
            break
        }
        'keadm;help;version' {
            break
        }
        'keadm;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
